"""Corpus files: found, recognised, and read as batches of canonical rows.

In reading order:

files         what a user names to corpus files, checked; their rows, streamed
places        files, folders, globs and URLs to files with their identities
presets       which column of which corpus is what, and how a file's corpus is recognised
readers       Parquet and SWAT's SQLite database as batches of source columns
texts         TSV, CSV and JSON lines as batches of source columns: what their first lines say
unpacked      how many rows may be read at once, for what their values may unpack to
delimited     fields in quotes
json_lines    an object a line
samples       WebDataset tars as batches of source columns: a sample a row
lines         the lines of a text, plain or gzipped
columns       source columns of whatever type to the canonical ones
templates     captions that are made of several columns
languages     a caption's language, where a corpus has no column of it
safety        what the words and numbers of a safety column mean
survival      how many links of a corpus gave an image when somebody counted
fingerprints  what tells one version of a file from another
"""
