"""The embedded caption engine: a folder of tantivy sub-indexes, filled side by side and asked as one.

In reading order:

index        the engine: every question of the protocol, over all parts
folder       what lies on the disk: groups of files, committed by a rename
load         corpus files in: which process builds what
grouping     which files go in together, and where a huge one is cut
build        one group: staged, built part by part, committed
schema       a corpus row as a tantivy document
row_blocks   rows as blocks of bytes, and back
row_store    the stored values of rows, in blocks, in a file beside each sub-index
query        caption queries as tantivy queries
part         one sub-index, asked
scan         every match of many queries, streamed
corpus_rows  rows of an index without a row store, read back from the corpus
removal      rows taken out
values       rows that were found, back as Arrow columns
"""
