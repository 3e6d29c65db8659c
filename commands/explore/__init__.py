"""Look around: the commands that only ask."""
