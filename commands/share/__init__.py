"""Check and share: how a workspace stands, what it is worth, and its ways in and out."""
