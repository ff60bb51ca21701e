"""``make bench``: run the benchmarks behind the docs' figures, one after the other.

Eight are not among them: `python -m bench.tuning` (a search on a data set) and
`python -m bench.soak` (`make soak`) take much longer; `python -m bench.damaged`,
`bench.tuned_against_defaults`, `bench.kept_epoch`, `bench.second_look`, `bench.augmentation` and
`bench.where_it_looked` need photos.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

# Each is a command with options: python -m bench.NAME --help
BENCHES = (
    "instructions",
    "start",
    "decoder",
    "prepare",
    "hostile",
    "serving",
    "local_sagemaker",
    "function_costs",
    "drop",
    "latency",
    "first_pages",
    "bulk",
    "growth",
    "growth_charts",
    "duplicates",
    "export",
    "features",
    "monitor",
    "template_faults",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Runs the benchmarks behind the docs' figures, which takes many minutes. Run "
        "one of them, with its options, as python -m bench.NAME.",
        epilog=f"Example: python -m bench.drop --help. NAME is one of {', '.join(BENCHES)}.",
    )
    parser.parse_args()
    failed = []
    for name in BENCHES:
        print(f"\n== bench.{name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
