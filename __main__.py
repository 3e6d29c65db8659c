"""``python -m captrawl``."""

from captrawl.cli import main

main()
