"""The ground that everything stands on; nothing here imports another folder. In reading order:

version     the version, once
errors      the error tree: what a user can cause, in one or two lines
records     Arrow schemas and records that cross folders; Progress, Vectors
text        the analyzer of new indices: a text's tokens, for captions and phrases alike
folding     its characters other than ASCII: accents, case, scripts without blanks
text_1      the analyzer before, of indexes that were made with it
analyzers   every analyzer by its number
row_captions rows with several captions: one text in an index
row_ids     what identifies a corpus row: uid and priority
arrow       Arrow's compute kernels
files       files that are there whole or not at all; hashes, links
pictures    image bytes → an upright, flattened picture
retry_after how long a server asks to be left alone
parallel    usable cores, and jobs in worker processes
interrupts  Ctrl-C at every moment
startup     a start within the machine's limits, and without pandas
wording     numbers in sentences
picture_hash perceptual hashes of pictures
terminal    tables, progress and messages; hostile text made harmless
"""
