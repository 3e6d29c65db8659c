"""Pictures that lie in archives: WebDataset tars, read by range.

locations      what [download] archives names → the archives, in order
blobs          a file, read by range
tar_members    a tar's headers → its members, without their bytes
member_table   which pictures an archive has, where, and whose: read once, kept as a small file
row_lookup     which rows of the ledger an archive's pictures belong to
pictures       … and their bytes
"""
