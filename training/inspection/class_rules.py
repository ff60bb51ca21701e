"""SageMaker Debugger's rule about classes.

Names, parameters and defaults are those of "List of Debugger Built-in Rules",
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html. The docstring of a
rule that decides otherwise says so and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.inspection.findings import Finding, Question, listed


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """The training images of a class, its validation images, and how many of those are wrong."""

    label: str
    train_images: int
    valid_images: int | None = None
    """None when the predictions are not known."""
    wrong: int | None = None


@dataclass(frozen=True, slots=True)
class ClassImbalance:
    """Whether classes differ too much in size, or some are mostly wrong.

    `threshold_imbalance`: largest class divided by smallest. `threshold_misprediction`: share of a
    class that is wrong. `samples`: labels that must be processed first. `least_measured`, which is
    ours: a class with fewer validation images is not judged by them.
    """

    threshold_imbalance: float = 10.0
    threshold_misprediction: float = 0.7
    samples: int = 500
    least_measured: int = 5

    def __call__(self, classes: Sequence[ClassCounts], epochs: int) -> Finding:
        question = Question.of(self, "Are all classes large enough, and learnt?")
        if not classes:
            return question.open("The labels of this training are not known here.")
        processed = epochs * sum(each.train_images for each in classes)
        if processed < self.samples:
            return question.open(f"Only {processed} labels were processed.")
        rare = min(classes, key=lambda each: each.train_images)
        common = max(classes, key=lambda each: each.train_images)
        sizes = (
            f"{common.label} has {common.train_images} training images, {rare.label} has "
            f"{rare.train_images}"
        )
        if common.train_images > self.threshold_imbalance * rare.train_images:
            return question.issue(
                f"{sizes}.", "Collect photos of the rare classes, or train with --class-weights."
            )
        measured = [
            each
            for each in classes
            if each.valid_images and each.valid_images >= self.least_measured
        ]
        failing = [
            f"{each.label} ({each.wrong} of {each.valid_images} wrong)"
            for each in measured
            if (each.wrong or 0) > self.threshold_misprediction * (each.valid_images or 0)
        ]
        if failing:
            return question.issue(
                f"{sizes}. Mostly wrong: {listed(failing)}.",
                "Look at the photos of these classes: they may be in the wrong folder, or two "
                "classes may look alike. Then collect more, or train with --class-weights.",
            )
        return question.fine(
            f"{sizes}. {len(measured)} of {len(classes)} classes have "
            f"{self.least_measured} validation images to be judged by; none is mostly wrong."
        )
