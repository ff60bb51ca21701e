"""The learning curves of a training."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from training.reports.axes import Axis
from training.reports.charts import Series, known, xy_chart
from training.watch.observer import EpochMetrics


def curves(history: Sequence[EpochMetrics]) -> Markup:
    """Loss and accuracy by epoch, beside each other; without validation only the loss."""
    epoch = Axis("epoch", is_whole=True)
    losses = [
        Series("training", [(each.epoch, each.train_loss) for each in history]),
        Series("validation", known((each.epoch, each.valid_loss) for each in history)),
    ]
    accuracies = [
        Series("top-1", known((each.epoch, each.valid_top1) for each in history)),
        Series("top-5", known((each.epoch, each.valid_top5) for each in history)),
    ]
    accuracy = Axis("validation accuracy", high=1, is_share=True)
    loss_chart = xy_chart(losses, epoch, Axis("loss"))
    if not accuracies[0].points:
        return loss_chart
    return loss_chart + xy_chart(accuracies, epoch, accuracy)
