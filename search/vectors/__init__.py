"""CLIP vectors: the models that make them, where they are stored, and what is near.

In reading order:

models       a model's identity, its folder's name and the fingerprint of its weights; without torch
loading      an open_clip model loaded, with every failure in a clear line
encoder      texts and images to unit vectors
tokenizing   texts to tokens, in processes ahead of a GPU
text_tower   a causal text tower run at the batch's longest text, exactly
decode       image files to pixels, in threads ahead of the model
decode_processes  the same in processes, for a GPU that threads can't feed
matrix       memory-mapped vectors as one matrix
store        stored embeddings, in clip-retrieval's layout
gpu          whether FAISS and torch can use the GPU they see
exact        scores inside a pool, exactly, on a GPU where there is one
neighbours   a FAISS index over the stored vectors, asked for the nearest rows
similar      the rows nearest to a text or an image, for the terminal, the page and notebooks
"""
