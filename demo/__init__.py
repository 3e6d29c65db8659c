"""The drawn web and the small model: the whole pipeline without a network."""
