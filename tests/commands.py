"""Runs `imagedrop` commands as processes that skip imports, most of a short command's CPU time.

    python -m tests.commands

Reads a command per line (JSON) from standard input, and prints each exit code.
"""

from __future__ import annotations

import gc
import io
import json
import os
import select
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import typer
from botocore.loaders import JSONFileLoader

from imagedrop.cli import app, main
from localcloud import aws

REPOSITORY = Path(__file__).parents[1]
# Whose descriptions most commands read, the one of SageMaker for a tenth of a second.
SERVICES = ("cloudformation", "dynamodb", "s3", "sagemaker", "sqs", "stepfunctions")


class Commands:
    """A process that has imported the command line, and copies itself for each command."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder
        self._lock = Lock()

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, timeout_seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``imagedrop ARGUMENTS`` in the repository; return its exit code and outputs."""
        outputs = [self._folder / name for name in ("stdout", "stderr")]
        asked = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "outputs": list(map(str, outputs)),
        }
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._lock:
            print(json.dumps(asked), file=stdin, flush=True)
            answered, _, _ = select.select([stdout], [], [], timeout_seconds)
            assert answered, f"{arguments} took more than {timeout_seconds} s"
            code = int(stdout.readline())
            texts = [each.read_text() for each in outputs]
        return subprocess.CompletedProcess(list(arguments), code, *texts)


@contextmanager
def ready_commands() -> Iterator[Commands]:
    """Start the process; the end of the block ends it."""
    with (
        TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.commands"],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(["functions", "."])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        yield Commands(process, Path(folder))
        assert process.stdin is not None
        process.stdin.close()


def _serve() -> None:
    typer.main.get_command = cache(typer.main.get_command)
    typer.main.get_command(app)
    _load_what_commands_need()
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(asked["arguments"], asked["environment"], asked["outputs"])
            os._exit(_exit_code())
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _load_what_commands_need() -> None:
    """Read botocore's descriptions of services, and import what a first command imports."""
    read = cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _, path: read(path)
    for service in SERVICES:
        aws.client(service, "http://127.0.0.1:1")
    with redirect_stderr(io.StringIO()), suppress(SystemExit):
        app(["models", "--format", "unknown"])
    gc.freeze()


def _become(
    arguments: Sequence[str], environment: Mapping[str, str], outputs: Sequence[str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["imagedrop", *arguments]
    for descriptor, path in enumerate([os.devnull, *outputs]):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)


def _exit_code() -> int:
    """Run the command as the interpreter would; ending that properly takes longer than most."""
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter's last resort
        traceback.print_exc()
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    assert code is None or isinstance(code, int)
    return code or 0


if __name__ == "__main__":
    _serve()
