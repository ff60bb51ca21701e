"""``imagedrop models``: list the registered models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Column

from imagedrop.app import command
from imagedrop.output import (
    Format,
    FormatOption,
    JsonObject,
    Layout,
    TargetOption,
    print_items,
    say,
)
from imagedrop.target import find_target
from imagedrop.target_name import TargetName
from registry.listed_models import listed_models
from registry.promotions import Promotion

FIELDS = ("model", "answers", "approval", "labels", "top1", "created_at", "model_data_url")
MINUTES = len("2026-11-29T13:05")


@command("imagedrop models --format jsonl")
def models(
    format_: FormatOption = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """List the registered models, and show which one answers."""
    found = find_target(target)
    served = found.served_model()
    bucket = found.models_bucket()
    default_url = found.outputs["DefaultModelDataUrl"]
    rows = listed_models(
        found.client("sagemaker"), found.client("s3"), found.outputs["EndpointName"], default_url
    )
    for row in rows:
        row["top1"] = row["metrics"].get("top1")
    print_models(({name: row[name] for name in FIELDS} for row in rows), format_)
    current = bucket.promotions().current
    if (current.model_data_url if current else default_url) != served.serving.model_data_url:
        _warn(served.card.identity, current)


def print_models(rows: Iterable[JsonObject], format_: Format) -> None:
    """Prints models to standard output."""
    layout = Layout(
        fields=FIELDS,
        columns=(
            Column("model", overflow="fold"),
            Column("answers", no_wrap=True),
            Column("approval", overflow="fold"),
            Column("labels", justify="right", no_wrap=True),
            Column("top-1", justify="right", no_wrap=True),
            Column("created", no_wrap=True),
        ),
        cells=_cells,
    )
    print_items(rows, format_, layout)


def _warn(answering: str, promoted: Promotion | None) -> None:
    """Warns if the model that answers is not the recorded one, and prints the remedy."""
    if promoted is None:
        say(f"{answering} answers now, but no promotion is recorded.", "yellow")
        say("→ Promote the model that you want: imagedrop promote NAME --version VERSION")
        return
    say(
        f"{answering} answers now, although {promoted.model} was promoted last. This happens when "
        "an update of the stack is rolled back: the template's endpoint is restored.",
        "yellow",
    )
    name, _, version = promoted.model.rpartition("@")
    say(f"→ Promote it again: imagedrop promote {name} --version {version}")


def _cells(row: JsonObject) -> Iterable[Sequence[str]]:
    yield (
        row["model"],
        "yes" if row["answers"] else "",
        row["approval"],
        str(row["labels"]),
        _share(row["top1"]),
        (row["created_at"] or "")[:MINUTES].replace("T", " "),
    )


def _share(value: object) -> str:
    """Four digits; the registry keeps metrics as text."""
    try:
        return f"{float(str(value)):.4f}"
    except ValueError:
        return ""
