"""Every table can be read on a terminal of 80 columns, however long its names are."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from imagedrop.bulk.output import print_runs as print_bulk_runs
from imagedrop.bulk.runs import Execution, ExecutionStatus
from imagedrop.commands.cost import print_costs
from imagedrop.commands.dead_letters import print_dead_letters
from imagedrop.commands.drift import print_days
from imagedrop.commands.models import print_models
from imagedrop.commands.predictions import print_records
from imagedrop.commands.runs import print_comparison, print_runs
from imagedrop.commands.trace import print_steps
from imagedrop.dead_letters import DeadLetter
from imagedrop.jobs.listing import print_jobs
from imagedrop.output import Format
from imagedrop.training_runs import Kind, Run
from pipeline.events import Change, ImageRef
from pipeline.records import Record, Road, Status

COLUMNS = 80
FEWEST_ON_A_LINE = 12
# Names of letters that nothing else in a table has, so that they are found where they are wrapped.
GREEK = "".join(map(chr, range(0x3B1, 0x3CA))) * 2
CYRILLIC = "".join(map(chr, range(0x430, 0x450)))
NOW = "2026-11-29T13:05:52.123Z"


def models() -> None:
    row = {
        "model": f"{GREEK}@20261129t130552",
        "answers": True,
        "approval": "PendingManualApproval",
        "labels": 1000,
        "top1": "0.9102564102564102",
        "created_at": NOW,
        "model_data_url": "s3://models/model.tar.gz",
    }
    print_models([row], Format.TABLE)


def runs() -> None:
    print_runs([run(GREEK, CYRILLIC).to_json()], Format.TABLE)


def run(name: str, backbone: str) -> Run:
    metrics = {"top1": 0.9, "log_loss": 12.3456, "ece": 0.1}
    return Run(name, Kind.TRAINING, "dogs@1", backbone, "ab" * 32, {}, metrics, 86_400.0)


def comparison_of_runs() -> None:
    print_comparison(run(GREEK, "resnet50"), run(CYRILLIC, "efficientnet_lite0"))


def jobs() -> None:
    row = {"job": GREEK, "kind": "training job", "status": "InProgress", "created_at": NOW}
    print_jobs([row], Format.TABLE)


def record(**given: object) -> Record:
    fields: dict[str, object] = {
        "image": f"s3://images/incoming/{GREEK}.jpg",
        "key": f"incoming/{GREEK}.jpg",
        "version": "1",
        "status": Status.CLASSIFIED,
        "label": CYRILLIC,
        "confidence": 0.5,
        "source": Road.DROP,
        "format": "JPEG",
        "width": 12_000,
        "height": 12_000,
        "bytes": 1,
        "received_at": NOW,
        "classified_at": NOW,
    }
    return Record(**(fields | given))  # type: ignore[arg-type]


def predictions() -> None:
    print_records([record()], Format.TABLE)


def dead_letters() -> None:
    image = ImageRef("images", f"incoming/{GREEK}.jpg", "1", True, "0", 1, NOW, Change.CREATED)
    letter = DeadLetter("id", "handle", "{}", (image,), CYRILLIC, "", 3, NOW, NOW, "id")
    print_dead_letters([letter], Format.TABLE)


def bulk_runs() -> None:
    moment = datetime(2026, 11, 29, tzinfo=UTC)
    name = f"{GREEK[:40]}-20261129t130552"
    execution = Execution(name, 1, ExecutionStatus.PENDING_REDRIVE, moment, {}, "", "")
    print_bulk_runs([(execution, None)])


def days() -> None:
    row = {
        "day": "2026-11-29",
        "against": "days before",
        "what": "confidence",
        "images": 1_000_000,
        "psi": 0.123,
        "threshold": 0.2,
        "drifts": False,
        "moved": GREEK,
        "was": 0.1,
        "now": 0.2,
    }
    print_days([row], Format.TABLE)


def steps() -> None:
    print_steps([{"at": NOW, "what": "the model was trained", "detail": GREEK}], Format.TABLE)


def costs() -> None:
    print_costs({mode: {GREEK: 123_456.78} for mode in ("drop", "bulk")})


TABLES: list[tuple[Callable[[], None], tuple[str, ...]]] = [
    (models, (GREEK,)),
    (runs, (GREEK, CYRILLIC)),
    (comparison_of_runs, (GREEK, CYRILLIC)),
    (jobs, (GREEK,)),
    (predictions, (GREEK, CYRILLIC)),
    (dead_letters, (GREEK, CYRILLIC)),
    (bulk_runs, (GREEK[:40],)),
    (days, (GREEK,)),
    (steps, (GREEK,)),
    (costs, (GREEK,)),
]


@pytest.mark.parametrize(("table", "names"), TABLES, ids=lambda each: getattr(each, "__name__", ""))
def test_names_are_whole_and_not_squeezed_into_a_column_of_letters(
    table: Callable[[], None],
    names: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))

    table()

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    for name in names:
        pieces = [piece for line in lines for piece in re.findall(f"[{name}]+", line)]
        assert "".join(pieces) == name, "\n".join(lines)
        assert len(pieces[0]) >= FEWEST_ON_A_LINE, "\n".join(lines)
