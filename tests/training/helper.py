"""A process that helps another one to train: python helper.py PORT."""

import sys

from dialekt.training.distributed import help_along
from dialekt.training.launch import Launch

if __name__ == "__main__":
    help_along(Launch(rank=1, size=2, local_rank=1, address="127.0.0.1", port=int(sys.argv[1])))
