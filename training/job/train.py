"""The entry point of a SageMaker training job, at the top of its sources."""

import sys
from pathlib import Path

# `imaging` and `archive` are in functions/, as in the repository.
sys.path.insert(0, str(Path(__file__).resolve().parent / "functions"))

if __name__ == "__main__":
    from training.train import main

    sys.exit(main())
