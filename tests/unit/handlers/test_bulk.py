"""The bulk handlers run the step that the state machine names, with the stack's settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archive.card import ModelCard
from handlers import bulk_chunks, bulk_steps, wiring
from registry.served_model import ServedModel, Serving
from tests.fakes import SPEC, jpeg
from tests.small_model import card  # noqa: F401 - a fixture
from tests.unit.bulk.conftest import Bulk, bulk  # noqa: F401 - a fixture
from tests.unit.handlers.test_classify import Context

ASKED = {
    "run": "trial",
    "source": {"kind": "folder", "bucket": "images", "prefix": "folder/"},
    "again": False,
    "direct": False,
    "instance_type": "ml.m5.xlarge",
    "instance_count": 1,
    "max_concurrent_transforms": 2,
    "chunk_images": 10,
    "shard_images": 4,
}


def call(handler: Any, step: str, **event: Any) -> dict[str, Any]:
    answer: dict[str, Any] = handler({"step": step, "input": ASKED, **event}, Context(900_000))
    return answer


def test_a_folder_goes_through_all_steps(
    bulk: Bulk,  # noqa: F811
    card: ModelCard,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = Serving({"ProductionVariants": [{"ModelName": "Model-1"}]}, {})
    model = ServedModel(
        serving, replace(card, name="dogs", version="1", image_spec=SPEC, labels=("pug",))
    )
    monkeypatch.setenv("WORK_BUCKET", "work")
    monkeypatch.setenv("BULK_CONCURRENCY", "5")
    monkeypatch.setenv("ENDPOINT_NAME", "dogs")
    for module in (bulk_steps, bulk_chunks):
        monkeypatch.setattr(module, "client", lambda _service: bulk.s3)
    monkeypatch.setattr(bulk_steps, "served_model", lambda *_: model)
    monkeypatch.setattr(wiring, "predictions_table", lambda: bulk.table)
    for name in ("a.jpg", "b.jpg"):
        bulk.put(f"folder/{name}", jpeg())

    listed = call(bulk_steps.handler, "list", progress=None)
    assert (listed["run"], listed["work_bucket"]) == ("trial", "work")
    assert listed["progress"]["done"]

    def turn(number: int, ended: object) -> dict[str, Any]:
        return call(bulk_steps.handler, "turn", round=0, turn=number, ended=ended)

    first = turn(listed["turn"], listed["ended"])
    assert (first["prepare"]["any"], first["prepare"]["concurrency"]) == (True, 5)
    assert call(bulk_chunks.handler, "prepare", round=0, chunk="000000") == {}
    second = turn(first["turn"], {"job": {}, "problem": {}})
    wave = second["transform"]["wave"]
    plan = call(bulk_steps.handler, "plan", round=0, wave=wave, execution="trial-1")
    assert (plan["objects"], plan["sagemaker_model"]) == (1, "Model-1")
    third = turn(second["turn"], {"job": bulk.transform(), "problem": {}})
    assert (third["record"]["any"], third["last"]) == (True, True)
    assert call(bulk_chunks.handler, "record", round=0, chunk="000000") == {}
    end = call(bulk_steps.handler, "reconcile", round=0)
    assert end["next"] == "complete"
    assert end["summary"]["classified"] == 2
    assert call(bulk_steps.handler, "delete")["done"] is True
