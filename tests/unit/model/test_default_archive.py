"""The archive that ships is today's code with the default model."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from archive.card import ModelCard
from archive.crowd import EDGES, baseline_of
from archive.reading import extract_archive
from changes.drift import FEWEST_IN_BASELINE
from model import package
from model.package import DEFAULT_ARCHIVE, ROOT

LABELS_FILE = ROOT / "model" / "default" / "labels.txt"
METRICS_FILE = ROOT / "model" / "default" / "metrics.json"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("default") / "content"
    extract_archive(DEFAULT_ARCHIVE, path)
    return path


@pytest.fixture(scope="module")
def shipped(content: Path) -> ModelCard:
    return ModelCard.from_json(json.loads((content / "model.json").read_text()))


def test_committed_archive_is_up_to_date_with_its_sources() -> None:
    assert package.main(["--check"]) == 0, "run `python -m model.package`"


def test_check_finds_an_archive_with_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "functions" / "default_model" / "model.tar.gz"
    copy.parent.mkdir(parents=True)
    shutil.copy(DEFAULT_ARCHIVE, copy)
    monkeypatch.setattr(package, "DEFAULT_ARCHIVE", copy)
    monkeypatch.setattr(package, "ROOT", tmp_path)
    extra = tmp_path / "new_module.py"
    extra.write_text("")
    today = package.serving_code(ROOT)
    monkeypatch.setattr(package, "serving_code", lambda: {**today, "model/new_module.py": extra})
    before = copy.read_bytes()

    assert package.main(["--check"]) == 1

    assert copy.read_bytes() == before
    assert "python -m model.package" in capsys.readouterr().err
    assert package.main([]) == 0
    assert package.main(["--check"]) == 0


def test_labels_are_the_118_dog_breeds_of_imagenet_in_its_order(shipped: ModelCard) -> None:
    assert len(shipped.labels) == 118
    assert shipped.labels[0] == "chihuahua"
    assert shipped.labels[-1] == "mexican_hairless"
    assert shipped.labels.index("golden_retriever") == 207 - 151
    assert shipped.labels.index("samoyed") == 258 - 151


def test_labels_are_lower_snake_case(shipped: ModelCard) -> None:
    assert [label for label in shipped.labels if not re.fullmatch("[a-z]+(_[a-z]+)*", label)] == []


def test_labels_are_those_of_their_source_file(shipped: ModelCard) -> None:
    lines = LABELS_FILE.read_text().splitlines()

    assert list(shipped.labels) == [line for line in lines if line and line[0] != "#"]


def test_metrics_were_measured_with_these_very_weights(shipped: ModelCard) -> None:
    metrics = json.loads(METRICS_FILE.read_text())

    fitted, baseline = (
        json.loads(METRICS_FILE.with_name(name).read_text())
        for name in ("calibration.json", "baseline.json")
    )

    assert shipped.metrics == metrics | {"calibration": fitted, "baseline": baseline}
    assert metrics["weights_sha256"] == shipped.weights_sha256


def test_weights_are_five_megabytes(content: Path) -> None:
    assert (content / "model.onnx").stat().st_size < 5.5e6


def test_no_member_needs_a_pickle_or_carries_a_machine_s_paths(content: Path) -> None:
    weights = (content / "model.onnx").read_bytes()

    assert not list(content.rglob("*.p*kl*")) + list(content.rglob("*.pt*"))
    assert b"site-packages" not in weights
    assert b"/home/" not in weights


def test_licence_of_the_weights_travels_with_them(content: Path, shipped: ModelCard) -> None:
    assert shipped.training_run["licence"] == "Apache-2.0"
    assert "Apache License" in (content / "LICENSE").read_text()
    assert "ML Illustrated" in (content / "NOTICE").read_text()


def test_the_baseline_of_drift_counts_every_property_of_the_same_photos(
    shipped: ModelCard,
) -> None:
    counts = baseline_of(shipped.metrics)
    assert counts is not None
    kinds: dict[str, int] = {}
    for name, count in counts.items():
        kinds[name.partition(":")[0]] = kinds.get(name.partition(":")[0], 0) + count
    assert set(kinds) == {"labels", *EDGES}
    (images,) = set(kinds.values())
    assert images >= FEWEST_IN_BASELINE
    assert {name[7:] for name in counts if name.startswith("labels:")} <= set(shipped.answers)
