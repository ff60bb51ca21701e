"""``imagedrop data``: check, split, upload and pull photos to train on."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import isclose
from pathlib import Path
from typing import Annotated, Any

import typer

from imagedrop.app import app
from imagedrop.commands.filters import Filters, matching
from imagedrop.commands.options import options_of, takes
from imagedrop.data_sets import archive_describer, upload_data_set
from imagedrop.errors import UserError, as_user_error, disk_error
from imagedrop.output import TargetOption, bar, exit_on_interrupt, say
from imagedrop.reviewed_photos import part_in, pull
from imagedrop.target import find_target
from imagedrop.target_name import TargetName
from imaging import Rejection
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.records import Record, ref_to_read
from training.data.check import DataCheck, DoubtfulLabel, check
from training.data.dataset import DataSet
from training.data.folders import explain
from training.data.split import check_destination, lay_out, parts_of
from training.reports.data import data_page

data = typer.Typer(
    help="Check, split and upload photos to train on.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.add_typer(data, name="data")
PARTS = ("train", "valid", "test")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
# A tenth of fewer photos shows little: 9 of 10 right means 60 to 98 % (95 % interval).
FEW_PHOTOS = 100
WITHOUT_PARTS = "--shares 100,0,0"
FOLDS = " --folds 4"
NAMED = 10  # findings printed; the report has all

FolderArgument = Annotated[
    Path, typer.Argument(help="class/photo, or train|valid|test/class/photo.")
]

ModelOption = Annotated[
    Path | None,
    typer.Option(
        metavar="ARCHIVE",
        help="The model whose features find edited copies and doubtful labels: a folder that "
        "train wrote, or a model.tar.gz. By default the default model.",
        show_default=False,
    ),
]


@data.command("check", epilog="Example: imagedrop data check photos/")
def check_command(
    folder: FolderArgument,
    output_dir: Annotated[
        Path, typer.Option(help="Where data.html and data.json are written.")
    ] = Path("data-output"),
    model: ModelOption = None,
) -> None:
    """Check all photos for rejections, copies and doubtful labels, and count them by label.

    The exit code is 1 if a photo is in two parts or has two labels (metrics of such data cannot be
    trusted), if a class has no usable file, and if files that may be photos are left out.
    """
    with _as_user_error():
        found = _checked(folder, model)
        output_dir.mkdir(parents=True, exist_ok=True)
        content = json.dumps(found.to_json(), indent=1) + "\n"
        (output_dir / "data.json").write_text(content, encoding="utf-8")
        report = output_dir / "data.html"
        report.write_text(data_page(found), encoding="utf-8")
    for part, labels in found.counts.items():
        say(f"{part:>5}: {sum(labels.values()):,} photos of {len(labels)} classes")
    _name("rejected", [f"{found.data.name_of(x.image)}: {x.reason}" for x in found.rejected])
    for title, groups in (("in two parts", found.leaks), ("with two labels", found.conflicts)):
        _name(title, [" = ".join(map(found.data.name_of, each.images)) for each in groups])
    _name("classes without a usable photo", list(found.without_photos))
    _name("classes that the part train lacks", list(found.not_in_train))
    say(f"{len(found.alike)} groups of photos look the same")
    _name("doubtful labels", [_doubt(found, each) for each in found.doubtful if each.is_confident])
    if found.undoubted:
        say(f"  only one photo, so its label cannot be checked: {', '.join(found.undoubted)}")
    say(f"Report: {report}")
    if not found.images:
        say("No file is usable.")
    if not found.is_trustworthy:
        raise typer.Exit(1)


@data.command("split", epilog="Example: imagedrop data split photos/ parts/ --shares 80,10,10")
def split_command(
    folder: FolderArgument,
    destination: Annotated[Path, typer.Argument(help="A new folder.")],
    shares: Annotated[str, typer.Option(help="Percent of train, valid and test.")] = "80,10,10",
    seed: Annotated[int, typer.Option(help="The same seed gives the same parts.")] = 1,
    model: ModelOption = None,
) -> None:
    """Copy photos into parts: each class has these shares, photos that look the same stay in one
    part, and rejected files are left out."""
    of_parts = _shares(shares)
    with _as_user_error():
        check_destination(folder, destination)  # before minutes of checking
        found = _checked(folder, model)
        parts = parts_of(found, seed, of_parts)
        with bar("laid out", len(parts)) as advance:
            lay_out(found, parts, destination, advance)
    counts = {part: sum(each == part for each in parts.values()) for part in PARTS}
    say(" / ".join(f"{count:,} {part}" for part, count in counts.items()))
    if found.rejected:
        say(f"Left out: {len(found.rejected)} rejected files; imagedrop data check names them")
    say(f"Next: imagedrop train --data {destination}")
    _exit_if_incomplete(found.data)


@data.command("upload", epilog="Example: imagedrop data upload photos/ dogs")
def upload_command(
    folder: FolderArgument,
    name: Annotated[
        str | None, typer.Argument(help="The data set's name; by default the folder's.")
    ] = None,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Upload photos for training jobs; photos uploaded before are not sent again."""
    chosen = name or folder.resolve().name
    if not NAME.fullmatch(chosen):
        raise UserError(
            f"{chosen} is not a valid name of a data set.",
            "Use letters, digits, dots, hyphens and underscores.",
        )
    found = find_target(target)
    s3, bucket = found.client("s3"), found.outputs["ModelsBucketName"]
    with _as_user_error():
        scanned = scanned_data_set(folder)
        with bar("uploaded", len(scanned.images)) as advance:
            done = upload_data_set(s3, bucket, f"training/data/{chosen}/", scanned, advance)
    say(f"{done.sent:,} sent, {done.kept:,} were there already")
    say(f"Next: imagedrop jobs train --data {done.uri} --wait")
    print(done.uri)
    for line in explain(done.data.left_out[len(scanned.left_out) :], NAMED):
        say(line)
    _exit_if_incomplete(done.data)


@data.command("pull", epilog="Example: imagedrop data pull reviewed/ --since 30d")
@takes([each for each in options_of(Filters) if each.name not in ("reviewed", "status", "sort")])
def pull_command(
    destination: Annotated[Path, typer.Argument(help="A new folder, or that of an earlier pull.")],
    *,
    shares: Annotated[
        str,
        typer.Option(
            help="Percent of train, valid and test, by each photo's hash: the same in every pull. "
            "100,0,0 makes no parts."
        ),
    ] = "80,10,10",
    target: TargetOption = TargetName.LOCAL,
    **filters: Any,
) -> None:
    """Make a training folder of the photos that people reviewed, with the labels they gave.

    Pulling again adds newly reviewed photos, and moves photos whose label has changed.
    reviewed.json in the folder lists where each photo comes from and who decided what.
    """
    of_parts = _shares(shares)
    found = find_target(target)
    query = replace(Filters(**filters).query(), reviewed=True)
    records = list(matching(found, query, sys.maxsize))
    images = ImagesBucket(found.client("s3"))

    def read(record: Record) -> bytes | Rejection | None:
        return images.read(ref_to_read(record, record.version, found.images_bucket))

    with (
        _as_user_error(),
        bar("pulled", len(records)) as advance,
        exit_on_interrupt("Stopped; pull again to continue."),
    ):
        pulled = pull(records, read, destination, of_parts, advance)
    labels = len({each.label for each in pulled.photos})
    say(
        f"{pulled.new:,} new, {pulled.moved:,} moved: {destination} holds "
        f"{len(pulled.photos):,} photos of {labels} labels"
    )
    parts = Counter(part_in(each) for each in pulled.photos)
    if None not in parts:
        say(" / ".join(f"{parts[part]:,} {part}" for part in PARTS))
    if pulled.none_fits:
        say(f"Left out: {pulled.none_fits:,} photos that no label fits")
    _name("reviewed photos are left out", [f"{x.image}: {x.reason}" for x in pulled.left_out])
    if not records:
        say("No reviewed photo matches. Review photos with: imagedrop page")
    elif labels > 1 and len(pulled.photos) < FEW_PHOTOS and None not in parts:
        say("Few photos: cross-validation measures on all of them, the part test on some.")
        say(f"Next: imagedrop data pull NEW_FOLDER {WITHOUT_PARTS}")
    elif labels > 1:
        say(f"Next: imagedrop train --data {destination}{'' if None not in parts else FOLDS}")
    if pulled.left_out:
        raise typer.Exit(1)


@contextmanager
def _as_user_error() -> Iterator[None]:
    """Turns an error of the folder or the disk into a `UserError`."""
    try:
        with as_user_error():
            yield
    except OSError as error:
        raise disk_error(error) from error


def scanned_data_set(folder: Path) -> DataSet:
    """Lists a data set, and prints the files left out.

    Raises:
        TrainingError: the folder is not a data set.
    """
    scanned = DataSet.scan(folder)
    for line in explain(scanned.left_out, NAMED):
        say(line)
    return scanned


def _exit_if_incomplete(scanned: DataSet) -> None:
    if not scanned.is_complete:
        raise typer.Exit(1)


def _checked(folder: Path, model: Path | None) -> DataCheck:
    scanned = scanned_data_set(folder)
    with bar("looked at", len(scanned.images)) as advance, archive_describer(model) as describer:
        return check(scanned, advance, describer)


def _doubt(found: DataCheck, each: DoubtfulLabel) -> str:
    return (
        f"{found.data.name_of(each.image)}: {found.data.label(each.image)} {each.confidence:.2f}, "
        f"rather {each.suggested} {each.suggested_confidence:.2f}"
    )


def _shares(text: str) -> dict[str, float]:
    try:
        percents = [float(each) for each in text.split(",")]
    except ValueError:
        percents = []
    if len(percents) not in (2, 3) or min(percents) < 0 or not isclose(sum(percents), 100):
        raise UserError(
            f"--shares {text} are not percentages of train, valid and test.",
            "Write two or three numbers that add up to 100: --shares 80,10,10",
        )
    return {part: each / 100 for part, each in zip(PARTS, percents, strict=False)}


def _name(title: str, findings: list[str]) -> None:
    if findings:
        say(f"{len(findings)} {title}", "yellow")
    for each in findings[:NAMED]:
        say(f"  {each}")
    if len(findings) > NAMED:
        say(f"  and {len(findings) - NAMED} more")
