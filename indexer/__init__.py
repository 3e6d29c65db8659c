"""Everything that writes: corpora to caption indices, URLs to images, images to embeddings and vectors."""
