"""captrawl: from class names to a training list, by phrase match in web captions and k-NN in CLIP space."""

__version__ = "0.1.0"
