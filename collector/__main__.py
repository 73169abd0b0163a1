"""``python -m collector``."""

import sys

from collector.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
