"""The version, once: pyproject.toml and tests read it here."""

__version__ = "0.1.0"
