"""The exploration page: FastAPI app and static files."""
