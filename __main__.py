"""``python -m captrawl`` and the console script: Ctrl-C is heard before anything large is imported."""

from .core.interrupts import end_when_interrupted


def main() -> None:
    """Run the command line."""
    end_when_interrupted()
    from .cli import main as run

    run()


if __name__ == "__main__":
    main()
