"""The entry point of a SageMaker training job: this file lies at the top of its sources."""

import sys
from pathlib import Path

# `imaging` lies where it does in the repository: functions/imaging.
sys.path.insert(0, str(Path(__file__).resolve().parent / "functions"))

if __name__ == "__main__":
    from training.train import main

    sys.exit(main())
