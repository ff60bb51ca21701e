"""The entry point of a SageMaker training job, at the top of its sources.

On a machine with several GPUs it starts itself again by torchrun, once a GPU.
"""

import sys
from pathlib import Path

# `imaging` and `archive` are in functions/, as in the repository.
sys.path.insert(0, str(Path(__file__).resolve().parent / "functions"))

if __name__ == "__main__":
    import torch
    from torch.distributed import run as torchrun

    from training.parallel import started_together
    from training.train import main

    if torch.cuda.device_count() < 2 or started_together():
        sys.exit(main())
    torchrun.main(["--standalone", "--nproc-per-node=gpu", __file__, *sys.argv[1:]])
