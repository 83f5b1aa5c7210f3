"""``python -m symda`` is the command ``symda``."""

from symda.cli import main

if __name__ == "__main__":
    main()
