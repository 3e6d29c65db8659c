"""Look around: the commands that only ask.

query    the captions that contain any of the phrases
count    the rows of phrases, or of a class list
similar  the images or captions nearest to a text or an image
serve    the exploration page
demo     the whole job on a small web that is drawn here
doctor   what users trip over
shapes   what their --json prints
"""
