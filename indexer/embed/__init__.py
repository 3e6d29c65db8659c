"""The embed and vectors stages: images and captions → unit vectors → FAISS indices.

stage          the embed stage and its status
target         what the vectors must be made with
rows           which rows are still to be embedded
parts          shares of the rows, each in a folder of its own
writer         rows → shards of embeddings/<model>/
caption_text   what of a caption is embedded
published      published vectors in place of images' own
verify         imported vectors compared with their model
faiss_index    the vectors stage: embeddings → indices
speed          how fast this machine embeds
recall         how well an inexact index finds what is nearest
"""
