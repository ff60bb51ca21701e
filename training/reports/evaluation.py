"""`evaluation.html`: how good a model is, for somebody who has to decide about it."""

from __future__ import annotations

from html import escape

import numpy as np

from training.evaluation import metrics
from training.evaluation.evaluate import MAX_INT8_LOSS_POINTS, Evaluation
from training.evaluation.measure import REVIEW_TARGET, picture_of
from training.reports.page import Section, line_chart, page, table, text, thumbnail

MATRIX_CLASSES = 40  # more are no picture any more
WORST = 12
THUMBNAIL_PIXELS = 112


def evaluation_page(found: Evaluation) -> str:
    """The whole file."""
    sections = [
        Section("In short", _summary(found)),
        Section("Worst confusions", _worst(found)),
        Section("Each class", _classes(found)),
        Section("Confusion matrix", _matrix(found)),
        Section("Can its confidence be believed?", _calibration(found)),
        Section("The same photos in other encodings", _encodings(found)),
        Section("Speed and size", _speed(found)),
    ]
    if found.int8 is not None:
        sections.append(Section("int8", _int8(found)))
    if found.measured.rejected:
        rows = [(each,) for each in found.measured.rejected]
        sections.append(Section("Rejected files", table(("file and reason",), rows)))
    return page(f"{found.card.identity} on {found.data.folder.name}", sections)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _summary(found: Evaluation) -> str:
    low, high = found.top1_interval
    rows = [
        ("measured on", found.measured_on),
        ("top-1", f"{_percent(found.top(1))}; with so many photos {_percent(low)} to "
         f"{_percent(high)}"),
        ("top-5", _percent(found.top(5))),
        ("macro F1", f"{found.macro_f1:.3f}"),
    ]  # fmt: skip
    if found.card.gate is not None:
        share = _percent(float(found.measured.gated.mean()))
        rows.append((f"called {found.card.gate.label} by the gate", share))
    warning = (
        text("These are photos that the model was trained on: new ones will do worse.")
        if found.judged.was_seen
        else ""
    )
    return warning + table(("", ""), rows)


def _worst(found: Evaluation) -> str:
    parts = [
        thumbnail(
            picture_of(each.example, THUMBNAIL_PIXELS),
            f"{each.true}, called {each.called}: {each.count}",
        )
        for each in found.confusions[:WORST]
    ]
    return "".join(parts) or '<p class="soft">none</p>'


def _classes(found: Evaluation) -> str:
    rows = sorted(found.class_scores.items(), key=lambda item: (item[1].f1, item[0]))
    return table(
        ("class, worst first", "photos", "found", "right when named", "F1"),
        ((name, each.support, each.recall, each.precision, each.f1) for name, each in rows),
    )


def _matrix(found: Evaluation) -> str:
    there = np.nonzero(found.matrix.sum(axis=1) + found.matrix.sum(axis=0))[0]
    if len(there) > MATRIX_CLASSES:
        return text(f"{len(there)} classes are too many for a picture; see the confusions above.")
    cell, left = 16, 180
    most = max(1, int(found.matrix.max()))
    parts = []
    for row, true in enumerate(there):
        label = escape(found.card.labels[true][:28])
        parts.append(f'<text x="{left - 6}" y="{row * cell + 12}" text-anchor="end">{label}</text>')
        for column, called in enumerate(there):
            count = int(found.matrix[true, called])
            colour = "#1a7f37" if true == called else "#cf222e"
            title = f"{found.card.labels[true]}, called {found.card.labels[called]}: {count}"
            parts.append(
                f'<rect x="{left + column * cell}" y="{row * cell}" width="{cell - 1}"'
                f' height="{cell - 1}" fill="{colour}"'
                f' fill-opacity="{0.06 if not count else 0.3 + 0.7 * count / most:.2f}">'
                f"<title>{escape(title)}</title></rect>"
            )
    side = len(there) * cell
    return (
        text("Rows are true classes, columns what they were called, in the same order.")
        + f'<svg viewBox="0 0 {left + side} {side}" width="{left + side}">{"".join(parts)}</svg>'
    )


def _calibration(found: Evaluation) -> str:
    calibration = found.calibration
    bins = metrics.reliability(found.measured.probabilities, found.measured.truth)
    after = metrics.reliability(
        metrics.tempered(found.measured.probabilities, calibration.temperature),
        found.measured.truth,
    )
    chart = line_chart(
        {
            "as it is": [(each.confidence, each.accuracy) for each in bins],
            f"temperature {calibration.temperature:.2f}": [
                (each.confidence, each.accuracy) for each in after
            ],
            "ideal": [(0.0, 0.0), (1.0, 1.0)],
        },
        "confidence",
        "share that is right",
    )
    threshold = calibration.threshold
    advice = (
        "There is no confidence above which that holds."
        if threshold is None
        else f"With the temperature, a person should look at what is below a confidence of "
        f"{threshold.confidence:.2f}."
    )
    held = "none are" if calibration.accuracy is None else f"{_percent(calibration.accuracy)} are"
    return (
        table(
            ("", ""),
            [
                ("expected calibration error", f"{calibration.ece_before:.3f}"),
                ("with the temperature", f"{calibration.ece_after:.3f}"),
                ("temperature", f"{calibration.temperature:.3f}, on {calibration.fitted_on}"),
                (f"to be right {_percent(REVIEW_TARGET)} of the time", advice),
                (
                    "and on the measured photos",
                    f"{_percent(calibration.coverage)} need no review; of them {held} right",
                ),
            ],
        )
        + chart
        + table(
            ("photos in the bin", "mean confidence", "share that is right"),
            ((each.count, each.confidence, each.accuracy) for each in bins),
        )
    )


def _encodings(found: Evaluation) -> str:
    return table(
        ("encoding", "top-1", "change", "keeps its label", "mean change of confidence", "rejected"),
        (
            (
                each.name,
                each.top1,
                each.top1_change,
                each.same_label,
                each.confidence_change,
                each.rejected,
            )
            for each in found.effects
        ),
    )


def _speed(found: Evaluation) -> str:
    speed = found.speed
    rows = (
        (name, each.cpu_ms, each.latency_ms, each.latency_p95_ms)
        for name, each in (("preparing it", speed.prepare), ("the model", speed.model))
    )
    return (
        text(f"Milliseconds a photo, {speed.images} of them one after the other, on one thread.")
        + table(("", "CPU, median", "wall time, median", "wall time, 95 % below"), rows)
        + table(
            ("", ""),
            [
                ("the model in batches of 8, ms of CPU a photo", speed.model_batch_cpu_ms),
                ("photos a second of CPU, prepared and in batches", speed.images_per_cpu_second),
                ("weights, bytes", speed.weights_bytes),
            ],
        )
    )


def _int8(found: Evaluation) -> str:
    int8 = found.int8
    if int8 is None:
        return ""
    low, high = int8.loss.interval
    verdict = (
        f"Recommended: it loses less than {MAX_INT8_LOSS_POINTS} points."
        if int8.is_recommended
        else f"Not recommended: it loses {MAX_INT8_LOSS_POINTS} points or more."
    )
    return text(verdict) + table(
        ("", ""),
        [
            ("top-1", _percent(int8.top1)),
            (
                "loss in points",
                f"{int8.loss.points:.2f}; with so many photos {low:.2f} to {high:.2f}",
            ),
            ("photos only the first has right", int8.loss.only_first_right),
            ("photos only int8 has right", int8.loss.only_second_right),
            ("faster, times of CPU", int8.times_as_fast_as(found.speed)),
            ("weights, bytes", int8.speed.weights_bytes),
            ("ranges measured on, photos", int8.calibration_images),
        ],
    )
