"""`inspection.html`: an inspection for readers who do not know SageMaker Debugger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from training.inspection.findings import Status
from training.inspection.inspection import Inspection
from training.inspection.tensor_rules import layer_gradients
from training.inspection.times import StepTimes, step_times
from training.reports.axes import Axis
from training.reports.charts import Series, column_chart, known, xy_chart
from training.reports.curves import curves
from training.reports.page import TEMPLATES, render
from training.watch.observations import Observations, Sample
from training.watch.profile import Operator, Profile, SystemSample

HTML_NAME = "inspection.html"
LAYERS_LISTED = 6
GRADIENTS_LISTED = 12
WORDS = {
    Status.ISSUES_FOUND: "look here",
    Status.NO_ISSUES_FOUND: "fine",
    Status.NOT_EVALUATED: "not judged",
}
ORDER = tuple(WORDS)


def write_report(inspection: Inspection, folder: Path) -> Path:
    """Returns the file's path."""
    file = folder / HTML_NAME
    file.write_text(inspection_page(inspection), encoding="utf-8")
    return file


def inspection_page(inspection: Inspection) -> str:
    """The whole file: what was inspected, findings, what to do, and then the evidence."""
    seen, profile = inspection.seen, inspection.profile
    return render(
        TEMPLATES / "inspection.html",
        inspection=inspection,
        seen=seen,
        profile=profile,
        words=WORDS,
        findings=sorted(inspection.findings, key=lambda each: ORDER.index(each.status)),
        curves=curves([each.metrics for each in seen.epochs]) if seen else "",
        gradients=_gradients(seen) if seen else [],
        activations=_activations(seen) if seen else None,
        step_times=[(each, _histogram(each)) for each in step_times(profile)] if profile else [],
        usage=_usage(profile.samples) if profile else "",
        operators=[(each, _share(each, profile)) for each in profile.operators] if profile else [],
    )


def _usage(samples: Sequence[SystemSample]) -> Markup:
    """How busy the machine was, in percent, by the seconds since the training began."""
    lines = [
        Series(name, known((each.seconds, getattr(each, field)) for each in samples))
        for name, field in (
            ("CPU, all cores", "cpu"),
            ("waiting for a disk", "io_wait"),
            ("GPU", "gpu"),
            ("GPU memory", "gpu_memory"),
        )
    ]
    return xy_chart(lines, Axis("seconds"), Axis("busy, %", 0, 100))


def _histogram(times: StepTimes) -> Markup:
    marks = [("p50", times.p50), ("p95", times.p95), ("p99", times.p99)]
    return column_chart(
        times.counts,
        Axis(f"{times.phase}: milliseconds of a step", 1e3 * times.edges[0], 1e3 * times.edges[-1]),
        Axis("steps"),
        [(f"{name}, {1e3 * seconds:.2f} ms", 1e3 * seconds) for name, seconds in marks],
    )


def _gradients(seen: Observations) -> list[tuple[str, float, float | None]]:
    """Layers with the smallest mean |gradient| of any observed step, and that of the last step."""
    smallest: dict[str, float] = {}
    for sample in seen.samples:
        for layer, mean_abs in layer_gradients(sample).items():
            smallest[layer] = min(smallest.get(layer, mean_abs), mean_abs)
    last = layer_gradients(seen.samples[-1]) if seen.samples else {}
    rows = sorted(smallest.items(), key=lambda item: item[1])[:GRADIENTS_LISTED]
    return [(layer, value, last.get(layer)) for layer, value in rows]


def _activations(seen: Observations) -> dict[str, object] | None:
    """Of the last observed step that ran the whole network; None without such a step."""
    whole = [each for each in seen.samples if each.relu_inputs]
    if not whole:
        return None
    sample: Sample = whole[-1]
    dead = sorted(sample.relu_inputs.items(), key=lambda item: item[1].dead, reverse=True)
    return {
        "step": sample.step,
        "variances": [
            (name.removeprefix("backbone."), relu.variance)
            for name, relu in sample.relu_inputs.items()
        ],
        "dead": [(name, relu.dead) for name, relu in dead[:LAYERS_LISTED]],
    }


def _share(operator: Operator, profile: Profile) -> float:
    """Of the time of the listed operators of the same phase, 0..1."""

    def seconds(each: Operator) -> float:
        return each.gpu_seconds if profile.machine.gpu else each.cpu_seconds

    shown = sum(seconds(each) for each in profile.operators if each.phase == operator.phase)
    return seconds(operator) / shown if shown else 0.0
