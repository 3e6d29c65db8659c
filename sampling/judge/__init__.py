"""``captrawl judge``: a vision model says which of five names fits a picture that the probe can't decide on.

answers   judge.jsonl: what was answered of each picture, as a score and in words
question  a question about a picture, and what counts as an answer
plan      which pictures are asked about, and what that takes
ask       the asking
"""
