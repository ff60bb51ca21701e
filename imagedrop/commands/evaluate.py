"""``imagedrop evaluate``: measure a model on photos that it was not trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from archive.card import CARD_NAME, ArchiveError
from archive.reading import WEIGHTS_NAME, extract_archive, sha256_of
from imagedrop.app import command
from imagedrop.commands.data import scanned_data_set
from imagedrop.errors import UserError, as_user_error
from imagedrop.output import progress, say
from model.package import package, texts_in
from training.data.folders import explain
from training.data.layout import part_of
from training.tracking.mlflow_runs import add_to_run
from training.tracking.run_folders import new_run_folder

if TYPE_CHECKING:
    from archive.uncertainty import Unknown
    from training.evaluation.calibration import Calibration
    from training.evaluation.evaluate import Begin, Evaluation, Int8Offer
    from training.evaluation.others import OtherThings

LEAKS_SHOWN = 5
# A card's metrics about the graph, not about the photos that it was last measured on.
KEPT = ("calibration", "gate")


@command("imagedrop evaluate runs/dogs-20261129t130501/model --data parts/")
def evaluate(
    model: Annotated[Path, typer.Argument(help="A folder from training, or a model.tar.gz.")],
    data: Annotated[Path, typer.Option(help="class/photo, or train|valid|test/class/photo.")],
    split: Annotated[
        str | None, typer.Option(help="The part to judge; by default test, else valid, else train.")
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Write an archive whose confidences are calibrated."),
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also measure the int8 form, and write its archive.")
    ] = False,
    conditions: Annotated[
        bool,
        typer.Option(
            help="Also measure other encodings and conditions, which takes most of the time."
        ),
    ] = True,
    answers: Annotated[
        Path | None,
        typer.Option(
            help="Show doubtful labels, found with this out_of_fold.npz, or with the output "
            "folder of a training with --folds.",
            show_default=False,
        ),
    ] = None,
    others: Annotated[
        Path | None,
        typer.Option(
            help="A folder with photos of other things; counts how many get a label.",
            show_default=False,
        ),
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where evaluation.html, .json and .csv are written.",
            show_default="runs/evaluation-TIME",
        ),
    ] = None,
) -> None:
    """Measure a model: accuracy, confusions, calibration, conditions, speed."""
    if (int8 or calibrate) and find_spec("onnx") is None:
        raise UserError("Writing a model needs onnx, which is not installed.", "make train-setup")
    # ONNX Runtime takes half a second to import, and most commands do not need it.
    from training.evaluation.doubtful import doubtful_by_answers  # noqa: PLC0415
    from training.evaluation.evaluate import evaluate as judge  # noqa: PLC0415
    from training.statistics.out_of_fold import read_out_of_fold  # noqa: PLC0415
    from training.statistics.spread import spread_of  # noqa: PLC0415

    with TemporaryDirectory() as temporary:
        content = _content(model, Path(temporary))
        int8_weights = Path(temporary) / "int8.onnx" if int8 else None
        try:
            with as_user_error(), progress() as bars:
                begin = _on(bars)
                scanned = scanned_data_set(data)
                part = part_of(split) or split if split else None
                kept = None if answers is None else read_out_of_fold(answers)
                found = judge(content, scanned, part, int8_weights, begin, in_conditions=conditions)
                if kept is not None:
                    found = replace(
                        found,
                        doubtful=doubtful_by_answers(kept, scanned),
                        spread=spread_of(kept) if kept.kind == "folds" else None,
                    )
                if others is not None:
                    found = replace(found, others=_judged_others(content, found, others, begin))
        except ArchiveError as error:
            raise _no_model(model, error) from error
        output_dir = output_dir or new_run_folder("evaluation")
        output_dir.mkdir(parents=True, exist_ok=True)
        _write_reports(found, output_dir)
        _print_summary(found)
        with as_user_error():
            if calibrate:
                _write_calibrated(found, content, output_dir / "calibrated.tar.gz")
            if found.int8 is not None:
                _write_int8(found, found.int8, content, calibrate, output_dir / "int8.tar.gz")
    _track(found, output_dir)
    for line in explain(found.data.left_out[len(scanned.left_out) :]):
        say(line)
    if not found.data.is_complete:
        raise typer.Exit(1)


def _judged_others(content: Path, found: Evaluation, folder: Path, begin: Begin) -> OtherThings:
    from model.serving.onnx_model import OnnxModel  # noqa: PLC0415 - as above
    from training.evaluation.others import judge_others, photos_of_others  # noqa: PLC0415

    on_image = begin("other things", len(photos_of_others(folder)))
    return judge_others(OnnxModel(content / WEIGHTS_NAME), found.card, folder, on_image)


def _content(model: Path, temporary: Path) -> Path:
    """Returns the folder with the model's files; unpacks an archive."""
    if model.is_dir() and all((model / name).is_file() for name in (CARD_NAME, WEIGHTS_NAME)):
        return model
    try:
        extract_archive(model, temporary / "content")
    except (ArchiveError, FileNotFoundError, IsADirectoryError) as error:
        raise _no_model(model, error) from error
    return temporary / "content"


def _no_model(model: Path, error: Exception) -> UserError:
    return UserError(
        f"{model} is not a model: {error}",
        "Give the folder that `imagedrop train` wrote (runs/NAME-TIME/model), or a model.tar.gz.",
    )


def _on(bars: Progress) -> Begin:
    """Returns what shows a bar for each step, and gives what advances it."""
    return lambda what, count: partial(bars.advance, bars.add_task(what, total=count))


def _write_reports(found: Evaluation, folder: Path) -> None:
    from training.evaluation.rows import csv_text  # noqa: PLC0415 - as above
    from training.reports.evaluation import evaluation_page  # noqa: PLC0415 - as above

    content = json.dumps(found.to_json(), indent=1, allow_nan=False) + "\n"
    (folder / "evaluation.json").write_text(content, encoding="utf-8")
    # A byte order mark tells spreadsheets that it is UTF-8.
    (folder / "evaluation.csv").write_text(csv_text(found.rows), encoding="utf-8-sig", newline="")
    (folder / "evaluation.html").write_text(evaluation_page(found), encoding="utf-8")
    say(f"Report: {folder / 'evaluation.html'}")


def _track(found: Evaluation, folder: Path) -> None:
    figures = {
        "evaluation_top1": found.top(1),
        "evaluation_top5": found.top(5),
        "evaluation_macro_f1": found.macro_f1,
        "evaluation_log_loss": fmean(row.loss for row in found.rows),
        "evaluation_ece": found.calibration.ece_before,
    }
    reports = [folder / f"evaluation.{kind}" for kind in ("html", "json", "csv")]
    add_to_run(found.card.training_run, folder.name, reports, figures, folder.name)


def _print_summary(found: Evaluation) -> None:
    low, high = found.top1_interval
    say(f"{found.card.identity} on {found.measured_on}")
    say(f"top-1     {found.top(1):.4f}  (95 %: {low:.3f} to {high:.3f})")
    say(f"top-5     {found.top(5):.4f}")
    say(f"macro F1  {found.macro_f1:.4f}")
    _print_calibration(found.calibration)
    if found.card.gate is not None:
        refused = float(found.measured.gated.mean())
        say(f"gate      {refused:.4f} of the photos are called {found.card.gate.label}")
    if found.others is not None:
        low, high = found.others.interval
        say(
            f"others    {found.others.share:.4f} of {found.others.photos} photos of other things "
            f"get a name  (95 %: {low:.3f} to {high:.3f})"
        )
    say(
        f"speed     {found.speed.images_per_cpu_second:.0f} photos a second of CPU, "
        f"{found.speed.weights_bytes / 1e6:.1f} MB"
    )
    weakest = found.robustness.weakest
    if weakest is not None:
        say(f"weakest   {weakest.top1:.4f} right, {weakest.name}")
    _print_leaks(found)


def _print_calibration(calibration: Calibration) -> None:
    if calibration.fitted_on is None:
        say(f"ECE       {calibration.ece_before:.4f}")
        say("          no temperature is fitted on photos that the model learned from")
        return
    say(
        f"ECE       {calibration.ece_before:.4f}, {calibration.ece_after:.4f} with the "
        f"temperature {calibration.temperature:.2f}"
    )
    if round(calibration.ece_after - calibration.ece_before, 4) > 0:
        say("          on so few photos the temperature does not help")
    if calibration.accuracy is None:
        say("review    all photos need review: of none is the model sure enough")
        return
    say(
        f"review    {1 - calibration.coverage:.4f} of the photos need review; of the others "
        f"{calibration.accuracy:.4f} are right"
    )


def _print_leaks(found: Evaluation) -> None:
    """Names photos that the model was trained on, unless the first line covers them already."""
    if found.judged.was_seen:
        say("The model was trained on these photos, so these figures mean little.", "yellow")
    learned = sum(row.is_learned for row in found.leaked)
    if not found.leaked or (found.judged.remark and not learned):
        return
    first = ", ".join(row.path for row in found.leaked[:LEAKS_SHOWN])
    more = ", …" if len(found.leaked) > LEAKS_SHOWN else ""
    say(
        f"leaked    of {len(found.rows)} photos the model learned from {learned} and chose its "
        f"epoch by {len(found.leaked) - learned}: {first}{more}",
        "yellow",
    )
    new = found.top1_of_new_photos
    without = "no photo is new to it" if new is None else f"top-1 of the others {new:.4f}"
    say(f"          {without}; evaluation.json lists all of them", "yellow")


def _write_calibrated(found: Evaluation, content: Path, destination: Path) -> None:
    with TemporaryDirectory() as temporary:
        weights = Path(temporary) / WEIGHTS_NAME
        noted = _tempered(found, content / WEIGHTS_NAME, weights)
        _package(found, content, weights, noted, destination)


def _write_int8(
    found: Evaluation, int8: Int8Offer, content: Path, calibrate: bool, destination: Path
) -> None:
    low, high = int8.loss.interval
    say(
        f"int8      {int8.top1:.4f}, {int8.loss.points:.2f} points lost (95 %: {low:.1f} to "
        f"{high:.1f}), {int8.times_as_fast_as(found.speed):.1f} times as fast: "
        f"{'recommended' if int8.is_recommended else 'not recommended'}"
    )
    noted: dict[str, object] = {"int8_loss_points": int8.loss.points, "top1": int8.top1}
    with TemporaryDirectory() as temporary:
        weights = int8.weights
        if calibrate:
            # Logits and softmax are float32 in the int8 model too, so the temperature is the same.
            weights = Path(temporary) / WEIGHTS_NAME
            noted |= _tempered(found, int8.weights, weights)
        _package(found, content, weights, noted, destination)


def _tempered(found: Evaluation, weights: Path, destination: Path) -> dict[str, object]:
    """Writes the weights with the temperature; returns the card's entry about it."""
    from model.graph.temperature import temperature_of, write_calibrated  # noqa: PLC0415 - needs onnx

    if found.calibration.fitted_on is None:
        raise UserError(
            "These photos cannot calibrate the model: the model learned from them, and is surer "
            "of them than of others.",
            "Give --data a folder that the model has not learned from. After a training with "
            "--folds, --answers shows what it answered to photos that were left out.",
        )
    try:
        write_calibrated(weights, found.calibration.temperature, destination)
    except ValueError as error:
        raise UserError(
            f"It cannot be calibrated: {error}.",
            "Only models that `imagedrop train` exports can be calibrated.",
        ) from error
    threshold = found.calibration.threshold
    return {
        "calibration": {
            # The product of all calibrations, as the graph has it.
            "temperature": temperature_of(destination),
            "fitted_on": found.calibration.fitted_on,
            "review_threshold": threshold.confidence if threshold else None,
        }
    }


def _unknown_when_tempered(found: Evaluation) -> Unknown | None:
    """The leads are differences of logits, so they are divided by the temperature too."""
    rule = found.card.unknown
    if rule is None:
        return None
    temperature = found.calibration.temperature
    return replace(rule, lowest_leads=tuple(lead / temperature for lead in rule.lowest_leads))


def _package(
    found: Evaluation, content: Path, weights: Path, noted: Mapping[str, object], destination: Path
) -> None:
    # An earlier calibration still holds: its temperature is in the graph, as the gate is.
    kept = {name: found.card.metrics[name] for name in KEPT if name in found.card.metrics}
    measured = {
        "measured_on": found.measured_on,
        "top1": found.top(1),
        "top5": found.top(5),
        "macro_f1": found.macro_f1,
    }
    metrics = {**kept, **measured, **noted}
    unknown = _unknown_when_tempered(found) if "calibration" in noted else found.card.unknown
    card = replace(found.card, weights_sha256=sha256_of(weights), metrics=metrics, unknown=unknown)
    package(weights, card, destination, texts_in(content))
    say(f"Written: {destination}")
    say(f"Next: imagedrop package {destination} --version ANOTHER")
