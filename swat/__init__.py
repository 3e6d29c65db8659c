"""SWAT's folders, files and settings: what its users bring along."""
