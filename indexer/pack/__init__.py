"""Spooled bytes → upright JPEG files in numbered folders, in workers that may die.

sniff          what the header says: format, size
orient         bytes → bytes that img2dataset decodes rightly
spool          images/spool/: accepted bytes until they are packed
worker         the worker process: one folder of images through img2dataset
pool           the worker processes, and what a job of theirs led to
folders        images/00012/: committed folders, and repairs after a kill
queue          what waits for packing and what is under way
"""
