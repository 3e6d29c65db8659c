"""``python -m captrawl``."""

from .cli import main

main()
