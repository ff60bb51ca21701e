"""Programs in copies of the test's process: to import torch anew would take four seconds."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TextIO

import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

REPOSITORY = Path(__file__).parents[2]
FORK = multiprocessing.get_context("fork")


def as_program(program: str, arguments: Sequence[str]) -> None:
    """Does what `python -m MODULE` or `python FILE.py` does, but for the end of the process.

    Raises:
        RuntimeError: its exit code is not 0.
    """
    sys.argv = [program, *arguments]
    try:
        if program.endswith(".py"):
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"{program} ended with {end.code}") from end


def below(folder: Path, file: str, arguments: Sequence[str]) -> None:
    """Does what `python FILE.py` does in a folder, without the repository.

    It prints where the modules are that the folder has.

    Raises:
        RuntimeError: its exit code is not 0.
    """
    os.chdir(folder)
    ours = {path.stem for place in (folder, folder / "functions") for path in place.iterdir()}
    for name in [each for each in sys.modules if each.partition(".")[0] in ours]:
        del sys.modules[name]
    repository = {str(REPOSITORY), str(REPOSITORY / "functions")}
    sys.path[:] = [str(folder), *(each for each in sys.path if each not in repository)]
    as_program(file, arguments)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ours:
            print(f"{name} is {module.__file__}")


def by_torchrun(processes: int, run: Callable[..., None], *arguments: object) -> None:
    """Lets torchrun's agent start processes that each run this.

    Raises:
        ChildFailedError: one of them failed.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="test",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        start_method="fork",
        monitor_interval=0.1,
    )
    elastic_launch(config, run)(*arguments)


@contextmanager
def copied(run: Callable[..., None], *arguments: object) -> Iterator[tuple[BaseProcess, TextIO]]:
    """Runs this in a copy; yields it and what it prints. The end of the block kills it."""
    reading, writing = os.pipe()
    process = FORK.Process(target=_run, args=(writing, run, arguments))
    process.start()
    os.close(writing)
    with open(reading) as printed:
        try:
            yield process, printed
        finally:
            process.kill()
            process.join()


def _run(writing: int, run: Callable[..., None], arguments: Sequence[object]) -> None:
    # Neither other threads nor a GPU's context are copied.
    torch.set_num_threads(1)
    torch.cuda.is_available = lambda: False
    with open(writing, "w", buffering=1) as output, redirect_stdout(output):
        run(*arguments)
