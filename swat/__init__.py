"""What SWAT's users bring along and take with them.

In reading order:

    profile     ``--profile swat``: settings with which captrawl chooses as SWAT's scripts do
    folder      which files of a folder are SWAT's, by their names
    pickles     pickles read as data; a program is refused
    rows        pickles, URL Parquet and database → the matches of a workspace
    features    _mined.pth → embeddings/<model>/
    importing   ``captrawl import swat``: all of these into a new workspace
    comparing   class totals beside the ``actual_freq`` of a metrics file

Three formats of SWAT's stand elsewhere, each beside its likes: its metrics JSON is a class list
(classes/metrics.py), its database a corpus (the SQLite reader of indexer/corpora/), and the folder that its
training scripts read an export (sampling/export/swat.py).
"""
