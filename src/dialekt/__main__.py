"""`python -m dialekt`: the command line without its script."""

import sys

from dialekt.cli import main

sys.exit(main())
