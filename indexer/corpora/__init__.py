"""Corpus files: found, recognised, and read as batches of canonical rows.

In reading order:

files         files, folders and globs to corpus files with their identities; their rows, streamed
presets       which column of which corpus is what, and how a file's corpus is recognised
readers       Parquet and SWAT's SQLite database as batches of source columns
tsv           tab-separated texts as batches of source columns
columns       source columns of whatever type to the canonical ones
fingerprints  what tells one version of a file from another
"""
