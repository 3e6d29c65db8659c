"""`captrawl purge`: rows and pictures out of a workspace for good, and proof of it.

targets    what was named → every URL, uid, hash, file and corpus row that belongs to it
lists      files that name what to purge, or what alone to keep
pending    what is being purged, until it is: a killed purge goes on from it
tables     Parquet tables without the rows
steps      what is done to each kind of artefact, in order
residue    the search for what might be left
run        all of it together, and the proof
"""
