"""Vectors that others published beside a corpus's rows: registered once, then read row by row.

layout        a folder → which array belongs to which metadata file
arrays        an array in an npy, an npz or a Parquet: its shape, and where its rows lie
row_reader    its rows, by range
registration  what `index vectors` keeps: model, files, addresses; written and read
register      … and made: metadata files joined to those of a caption index
lookup        matched rows → their vectors
rank          the pools of classes in the order of a score, before any image is fetched
"""
