"""The command line. The exit code is 0 only if everything requested was done."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from imagedrop import app as program
from imagedrop.errors import UserError, disk_error
from imagedrop.output import say
from localcloud.processes import LocalCloudError
from pipeline.errors import TransientError
from pipeline.queries import NoSuchOrderError

# The files of `imagedrop.commands`, in the order of `imagedrop --help`.
COMMANDS = (
    *("cloud", "deploy", "destroy", "doctor", "page", "send", "predictions", "export", "drift"),
    *("trace", "bulk", "reprocess", "dead_letters", "forget", "upload_form", "data", "train"),
    *("evaluate", "tune", "inspect", "runs", "jobs", "package", "promote", "shadow", "models"),
    *("cost", "plan", "demo"),
)
# A file has the command of its name, but for this one.
FILES = {each.replace("_", "-"): each for each in COMMANDS if each != "cloud"}
FILES |= dict.fromkeys(("up", "down", "status"), "cloud")


def load_commands(word: str = "") -> None:
    """Imports the file of the typed command; for any other word all of them, which takes longer."""
    for each in [FILES[word]] if word in FILES else COMMANDS:
        import_module(f"imagedrop.commands.{each}")


def __getattr__(name: str) -> typer.Typer:
    """Returns ``app`` with all commands, for importers."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load_commands()
    return program.app


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(version("imagedrop"))
        raise typer.Exit


@program.app.callback()
def options(
    version_: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Drop images into a bucket; read what they show from a table."""


def main() -> None:
    """Runs the command line, and prints errors that are not bugs without a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # JSON and CSV are UTF-8 in every locale.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        try:
            load_commands(sys.argv[1] if len(sys.argv) > 1 else "")
            program.app(standalone_mode=True)
        finally:
            if isinstance(sys.stdout, io.TextIOWrapper):  # None where the shell closed it
                sys.stdout.flush()  # a full disk behind it is an error here, not after the exit
    except UserError as error:
        _say_error(error)
        sys.exit(1)
    except (LocalCloudError, NoSuchOrderError) as error:
        say(str(error), "red")
        sys.exit(1)
    except (ClientError, BotoCoreError, TransientError) as error:
        say(str(error), "red")
        say("→ See what is deployed with `imagedrop status`; then try again.")
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output (head, less) has closed the pipe.
        _drop_output()
        sys.exit(1)
    except OSError as error:
        _say_error(disk_error(error))
        _drop_output()
        sys.exit(1)


def _say_error(error: UserError) -> None:
    say(str(error), "red")
    say(f"→ {error.next_step}")


def _drop_output() -> None:
    """Discards the remaining standard output, so that the exit prints no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
