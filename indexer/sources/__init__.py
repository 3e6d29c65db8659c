"""Pictures that lie in archives: WebDataset tars and Parquet, read by range.

locations      what [download] archives names → the archives, in order
blobs          a file, read by range
http_blob      … on a server
store_blob     … in an object store
opening        … wherever it lies
remote_path    … opened like a path
listing        the files below a folder, here or in a store
owners         whose picture it is, as an archive says it
member_table   the table of an archive: which pictures, where, whose
tables         … made once, and kept
tar_members    a tar's headers → its members, without their bytes
tar_pictures   … and its table
image_parquet  Parquet with a column of pictures: its table, and its rows' bytes
row_lookup     which rows of the ledger an archive's pictures belong to
pictures       the bytes of an archive's pictures
"""
