"""A finished caption index as files elsewhere: built in one place, counted in many.

manifest       what a copy consists of: paths, sizes, hashes, and what the index is
card           README.md and croissant.json of a copy, for people and for catalogues
places         folders, object stores and hubs that copies are written to
push           an index → a place
pull           a copy → an index on this machine
"""
