"""``python -m estimator``."""

import sys

from estimator.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
