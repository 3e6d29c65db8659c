"""Captions in Elasticsearch: one index, shared by a team, filled by many machines. In reading order:

address      where an index is, and how it is opened: addresses, credentials from the environment
errors       the client's errors, in one or two clear lines
transport    answers checked: JSON, in time, of all shards
server       one cluster, asked patiently: the client, what is tried again
schema       the mapping, and how a row becomes a document and back
queries      query bodies: pure functions
records      the documents that say how an index stands, changed by compare-and-set
catalogue    which rows count: the file records, and reading under them
bulk         bulk requests, sent again until every document is in
first_rows   the first rows in an order
scan         every match once, in constant memory
counting     counts of many queries, beside an unfinished load too
load         corpus files in and out, all or nothing
liveness     whether a loader that signed the index's record still lives
session      the settings while loading, put back at the end
admin        indices found by name or alias, recognised, made
index        the caption protocol over all of these
generations  the indices behind an alias: replaced, of now, being built
swap         a new index built behind an alias
"""
