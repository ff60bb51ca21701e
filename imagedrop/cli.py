"""The command line. The exit code is 0 only when everything that was asked for happened."""

from __future__ import annotations

import os
import sys

import typer
from botocore.exceptions import BotoCoreError, ClientError

from imagedrop.commands import (
    bulk,
    cloud,
    cost,
    data,
    dead_letters,
    demo,
    deploy,
    destroy,
    doctor,
    evaluate,
    forget,
    inspect,
    jobs,
    models,
    package,
    predictions,
    promote,
    send,
    train,
    tune,
    upload_form,
)
from imagedrop.errors import UserError
from imagedrop.output import say
from localcloud.processes import LocalCloudError
from pipeline.errors import TransientError

# In the order of `imagedrop --help`.
COMMANDS = (
    cloud,
    deploy,
    destroy,
    doctor,
    send,
    predictions,
    bulk,
    dead_letters,
    forget,
    upload_form,
    data,
    train,
    evaluate,
    tune,
    inspect,
    jobs,
    package,
    promote,
    models,
    cost,
    demo,
)

app = typer.Typer(
    help="Drop images into a bucket; read what they show from a table.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for each in COMMANDS:
    each.register(app)


def main() -> None:
    """Runs the command line, and prints errors that are not bugs without a traceback."""
    try:
        app(standalone_mode=True)
    except UserError as error:
        say(str(error), "red")
        say(f"→ {error.next_step}")
        sys.exit(1)
    except LocalCloudError as error:
        say(str(error), "red")
        sys.exit(1)
    except (ClientError, BotoCoreError, TransientError) as error:
        say(str(error), "red")
        say("→ See what is deployed with `imagedrop status`; then try again.")
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output (head, less) has closed the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
