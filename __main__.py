"""``python -m captrawl`` and the console script: Ctrl-C is heard before anything large is imported."""

import sys

from .core.interrupts import end_when_interrupted


def main() -> None:
    """Run the command line."""
    end_when_interrupted()
    from .core.errors import NO_MEMORY, lacks_memory
    from .core.startup import LEAST_MEMORY, memory_limit, settle_threads

    limit = memory_limit()
    if limit is not None and limit < LEAST_MEMORY:
        sys.exit(f"captrawl: {limit >> 20:,} MiB of memory are allowed here (ulimit -v), too few to start")
    settle_threads()
    try:
        from .cli import main as run
    except Exception as error:
        if not lacks_memory(error):
            raise
        sys.exit(f"captrawl: {NO_MEMORY}")
    run()


if __name__ == "__main__":
    main()
