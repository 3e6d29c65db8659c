"""The stages that fill an index and a workspace: captions, matches, images, vectors.

corpora        corpus files: presets, readers, columns, fingerprints
captions       corpus files → a caption index
opening        an index with what reads its rows back from the corpus
embedded       … the Tantivy side of it: several sub-indexes at once
copies         a finished index pushed to a folder, store or hub, and pulled from there
match_stage    class list + caption index → matches.parquet
outcomes       results, states and reasons that fetching and packing tell the ledger
ledger         images/ledger.sqlite: every URL, what came of it, where its image is
ledger_file    … the file itself: opened, its transactions, its errors in words
ledger_sql     … its tables and statements
ledger_pools   … its URLs by class: what a class has, and what is asked for it next
ledger_pictures … its images by the picture that they show
fetch          one URL → its bytes, politely and safely
pack           bytes → upright JPEG files in folders (img2dataset)
sources        pictures in tars and Parquet, read by range
published      published vectors: registered, read row by row, pools ranked by them
download       the stage: matches → ledger → fetch and pack → images.parquet
forecast       what download and embed would take, before they run
embed          the stages: images and captions → vectors → FAISS indices
"""
