"""Build a list: the commands from a class list to a training list, in their order."""
