"""Every report, made by its command, is readable in a browser on a desk and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from typer.testing import CliRunner

from imagedrop.bulk.report_page import report_page
from imagedrop.cli import app
from tests.page.browsers import DESKTOP, PHONE, SCREENSHOTS
from tests.page.text_layout import layout_faults
from tests.text_boxes import unreadable_texts
from tests.unit.command_line.test_bulk_compare import COMPARISON
from tests.unit.reports.test_bulk_report import REPORT
from training.reports.training import training_page

from .test_training_page import record

COVERED = """<body><p style="position:absolute;top:9px">one</p>
<p style="position:absolute;top:9px">two</p><p style="width:8em;word-break:break-all">
one two three breakable</p><p style="width:300vw">far</p>"""


@pytest.fixture(scope="module")
def reports(photos: Path, feature_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every report, each below the folder that its command wrote."""
    made = tmp_path_factory.mktemp("reports")
    train = ["--data", str(photos), "--feature-cache", str(feature_cache)]
    train += ["--backbone", "efficientnet_lite0", "--epochs", "2", "--batch-size", "8"]
    model = ["--model-dir", str(made / "model")]
    for name, arguments in {
        "folds": ["train", *train, "--folds", "2", "--output-dir", str(made / "folds"), *model],
        "inspect": ["inspect", *train, "--destination", str(made / "inspect")],
        "tune": ["tune", *train[:6], "--trials", "2", "--output-dir", str(made / "tune")],
        "evaluate": [
            *("evaluate", str(made / "model"), "--data", str(photos), "--no-conditions"),
            *("--answers", str(made / "folds"), "--output-dir", str(made / "evaluate")),
        ],
        "check": ["data", "check", str(photos), "--output-dir", str(made / "check")],
    }.items():
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, f"{name}: {done.output} {done.exception}"
    # The page of a training without folds, which would take ten seconds more.
    (made / "train").mkdir()
    (made / "train" / "training.html").write_text(training_page(record()))
    for name, more in {"bulk": {}, "compare": {"comparison": COMPARISON}}.items():
        (made / name).mkdir()
        page = report_page(REPORT | more, {"transform": 1.2})
        (made / name / "report.html").write_text(page)
    return made


@pytest.mark.thorough
def test_every_report_is_readable_on_a_desk_and_a_phone(reports: Path, browser: Browser) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    files = sorted(reports.glob("*/*.html"))
    assert {file.parent.name for file in files} == {
        *("bulk", "check", "compare", "evaluate", "folds", "inspect", "train", "tune"),
    }
    assert "Folds of the training" in (reports / "evaluate" / "evaluation.html").read_text()
    faults = {}
    page = browser.new_page()  # one for all: a new one starts a process
    for file in files:
        name = file.parent.name
        faults[name] = unreadable_texts(file.read_text())
        page.goto(file.as_uri())
        for screen, size in (("desktop", DESKTOP), ("phone", PHONE)):
            page.set_viewport_size(size)
            page.screenshot(path=SCREENSHOTS / f"report-{name}-{screen}.png", full_page=True)
            faults[name] += [f"{screen}: {each}" for each in layout_faults(page)]
    page.close()
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.thorough
def test_covered_and_broken_texts_are_found(browser: Browser) -> None:
    page = browser.new_page(viewport=PHONE)
    page.set_content(COVERED)
    found = layout_faults(page)
    assert {"one covers two", "breakable is broken", "the page scrolls sideways"} <= set(found)
    page.close()
