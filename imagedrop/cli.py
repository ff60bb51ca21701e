"""The command line. Exit code 0 only when everything asked for happened."""

from __future__ import annotations

import os
import sys

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from imagedrop.commands import (
    bulk,
    cloud,
    cost,
    data,
    dead_letters,
    demo,
    evaluate,
    forget,
    inspect,
    jobs,
    models,
    predictions,
    send,
    train,
    tune,
    upload_form,
)
from imagedrop.errors import UserError
from imagedrop.output import console
from imagedrop.text import printable
from localcloud.processes import LocalCloudError
from pipeline.errors import TransientError

# In the order of `imagedrop --help`.
COMMANDS = (
    cloud,
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
    try:
        app(standalone_mode=True)
    except UserError as error:
        console.print(f"[red]{escape(str(error))}[/]")
        console.print(f"→ {escape(error.next_step)}", highlight=False)
        sys.exit(1)
    except LocalCloudError as error:
        console.print(f"[red]{escape(str(error))}[/]", highlight=False)
        sys.exit(1)
    except (ClientError, BotoCoreError, TransientError) as error:
        console.print(f"[red]{escape(printable(str(error)))}[/]", highlight=False)
        console.print("→ See what is deployed with `imagedrop status`; then try again.")
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output (head, less) has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
