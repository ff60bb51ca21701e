"""An inspection as one HTML file, for somebody who never saw SageMaker."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from training.inspection.findings import Finding, Status
from training.inspection.inspection import Inspection
from training.inspection.rules import layer_gradients
from training.reports.page import Section, bar_chart, line_chart, page, table, text
from training.watch.observations import Cost, Observations, PhaseBegin
from training.watch.profile import Operator, Profile

HTML_NAME = "inspection.html"
LAYERS_DRAWN = 6
WORDS = {
    Status.ISSUES_FOUND: "look here",
    Status.NO_ISSUES_FOUND: "fine",
    Status.NOT_EVALUATED: "not judged",
}
ORDER = (Status.ISSUES_FOUND, Status.NO_ISSUES_FOUND, Status.NOT_EVALUATED)


def write_report(inspection: Inspection, folder: Path) -> Path:
    """Returns the file's path."""
    file = folder / HTML_NAME
    file.write_text(page("Inspection of a training", list(sections(inspection))), encoding="utf-8")
    return file


def sections(inspection: Inspection) -> Iterator[Section]:
    """In the order in which one asks: what, found, to do, and then the evidence."""
    yield Section("What was looked at", "".join(map(text, looked_at(inspection))))
    yield Section("What was found", findings_table(inspection))
    yield Section("What to do", to_do(inspection))
    seen, profile = inspection.seen, inspection.profile
    if seen is not None:
        yield Section("How it learnt", learning(seen))
        yield Section("Gradients, layer by layer", gradients(seen))
        if any(sample.relu_inputs for sample in seen.samples):
            yield Section("What goes into the rectifiers", activations(seen))
    if profile is not None:
        yield Section("Where the time went", time_table(inspection, profile))
        yield Section("The costliest operators", operators(profile))
    if seen is not None and seen.cost is not None:
        yield Section("What watching cost", text(cost(seen.cost)))
    yield Section("The rules and their numbers", rules_table(inspection))


def looked_at(inspection: Inspection) -> Iterator[str]:
    """Sentences."""
    settings, seen, profile = inspection.settings, inspection.seen, inspection.profile
    if settings:
        yield (
            f"A training of {settings['backbone']} ({settings['weights']} weights) on "
            f"{settings['data']}: batches of {settings['batch_size']}, learning rate "
            f"{settings['lr']:g}, unfrozen: {settings['unfreeze']}."
        )
    if seen is not None:
        yield (
            f"{len(seen.epochs)} epochs, {sum(len(epoch.losses) for epoch in seen.epochs):,} "
            f"steps. The loss of every step; gradients, weights and activations of "
            f"{len(seen.samples)} steps."
        )
        yield from map(trained, seen.phases)
    if profile is not None:
        yield (
            f"The time of {len(profile.steps):,} steps, the operators of a few of them, how busy "
            f"the machine was "
            f"{len(profile.samples)} times."
        )


def trained(begin: PhaseBegin) -> str:
    """What has gradients in a phase, so that nobody takes two tensors for the network."""
    total = begin.trained_values + begin.frozen_values
    sentence = (
        f"Phase {begin.phase}: {begin.trained_values:,} of {total:,} weights are trained "
        f"({len(begin.trained)} tensors)."
    )
    if begin.phase == "head":
        return (
            f"{sentence} The backbone is frozen and has no gradients: whatever is said below about "
            f"gradients in this phase is about {' and '.join(begin.trained)} alone."
        )
    return sentence


def findings_table(inspection: Inspection) -> str:
    """Issues first."""
    ordered = sorted(inspection.findings, key=lambda finding: ORDER.index(finding.status))
    return table(
        ("question", "", "answer", "rule"),
        [(each.question, WORDS[each.status], each.answer, each.rule) for each in ordered],
    )


def to_do(inspection: Inspection) -> str:
    """One row an issue."""
    if not inspection.issues:
        return text("Nothing: no rule found an issue.")
    return table(("because of", "do"), [(each.rule, each.advice) for each in inspection.issues])


def learning(seen: Observations) -> str:
    """Losses and accuracy by epoch."""
    metrics = [epoch.metrics for epoch in seen.epochs]
    losses = {
        "training": [(each.epoch, each.train_loss) for each in metrics],
        "validation": [
            (each.epoch, each.valid_loss) for each in metrics if each.valid_loss is not None
        ],
    }
    return line_chart(_drawable(losses), "epoch", "loss")


def gradients(seen: Observations) -> str:
    """The mean |gradient| of each layer that was looked at: the smallest and the largest."""
    smallest: dict[str, float] = {}
    for sample in seen.samples:
        for layer, mean_abs in layer_gradients(sample).items():
            smallest[layer] = min(smallest.get(layer, mean_abs), mean_abs)
    rows = sorted(smallest.items(), key=lambda item: item[1])
    last = layer_gradients(seen.samples[-1]) if seen.samples else {}
    return text(
        "The smallest mean of a layer's gradients over the steps looked at (the layers with the "
        "smallest ones), and at the last of them. Below 0.0000001 a layer stands still."
    ) + table(
        ("layer", "smallest", "at last"),
        [(layer, f"{value:.2e}", _scientific(last.get(layer))) for layer, value in rows[:12]],
    )


def activations(seen: Observations) -> str:
    """At the last step that ran the whole network: variance and dead share, in the net's order."""
    sample = [each for each in seen.samples if each.relu_inputs][-1]
    variances = [
        (name.removeprefix("backbone."), relu.variance) for name, relu in sample.relu_inputs.items()
    ]
    dead = sorted(sample.relu_inputs.items(), key=lambda item: item[1].dead, reverse=True)
    return (
        text(f"Variance of each rectifier's input at step {sample.step}, from image to head.")
        + bar_chart(variances)
        + text("The layers with the most dead channels:")
        + table(
            ("layer", "dead"),
            [(name, f"{100 * relu.dead:.1f} %") for name, relu in dead[:LAYERS_DRAWN]],
        )
    )


def time_table(inspection: Inspection, profile: Profile) -> str:
    """Seconds and shares of each phase."""
    rows = [
        (split.phase, name, f"{seconds:.2f} s", f"{100 * seconds / (split.total or 1):.1f} %")
        for split in profile.splits
        for name, seconds in split.parts()
    ]
    before = ""
    if inspection.prepare_seconds is not None:
        before = text(
            f"Before: {inspection.prepare_seconds:.1f} s until the features of every photo were "
            "there. They are kept: the next training on the same photos reads them."
        )
    return before + table(("phase", "what", "time", "share"), rows)


def operators(profile: Profile) -> str:
    """Of torch, each without what it calls."""
    return table(
        ("phase", "operator", "calls", "CPU ms", "GPU ms", "share"),
        [
            (
                each.phase,
                each.name,
                each.calls,
                f"{1e3 * each.cpu_seconds:.2f}",
                f"{1e3 * each.gpu_seconds:.2f}" if profile.machine.gpu else "",
                f"{100 * _share(each, profile):.1f} %",
            )
            for each in profile.operators
        ],
    )


def cost(cost: Cost) -> str:
    """A sentence."""
    return (
        f"The monitor looked at {cost.samples} of {cost.steps:,} steps (every {cost.interval}th of "
        f"each phase) and took {cost.seconds:.3f} s by its own clock: the training took "
        f"{100 * cost.share:.2f} % longer than without it."
    )


def rules_table(inspection: Inspection) -> str:
    """For those who know SageMaker Debugger."""
    return text(
        "The names are those of SageMaker Debugger, the parameters its defaults where not said "
        "otherwise in docs/training.md."
    ) + table(
        ("rule", "status", "parameters"),
        [(each.rule, str(each.status), _parameters(each)) for each in inspection.findings],
    )


def _parameters(finding: Finding) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in finding.parameters.items())


def _share(operator: Operator, profile: Profile) -> float:
    """Of the time of the operators shown of the same phase."""

    def seconds(each: Operator) -> float:
        return each.gpu_seconds if profile.machine.gpu else each.cpu_seconds

    shown = sum(seconds(each) for each in profile.operators if each.phase == operator.phase)
    return seconds(operator) / shown if shown else 0.0


def _drawable(series: dict[str, list[tuple[int, float]]]) -> dict[str, list[tuple[float, float]]]:
    """Without empty lines, and without what is not finite."""
    finite = {
        name: [(float(x), y) for x, y in points if math.isfinite(y)]
        for name, points in series.items()
    }
    return {name: points for name, points in finite.items() if points}


def _scientific(value: float | None) -> str:
    return "" if value is None else f"{value:.2e}"
