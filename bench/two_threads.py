"""The limit of bulk on two cores: a script of two threads that read, prepare, ask and write.

    python -m bench.two_threads WARM_UP FOLDER MODEL_DIR OUT

No queue, no resume, no bound on memory or time of a hostile file. `bench.bulk_peers` runs it.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.peer_model import Model, prepared, run_when_told

THREADS = 2
IMAGES_A_TURN = 8


class Script:
    """The work over one folder, into a table of SQLite."""

    def __init__(self, folder: Path, model_dir: Path, table: Path) -> None:
        self._folder, self._model_dir = folder, model_dir
        self._table = sqlite3.connect(table, check_same_thread=False)
        self._table.execute(
            "CREATE TABLE rows (name TEXT PRIMARY KEY, label TEXT, confidence REAL)"
        )
        self._lock = threading.Lock()

    def run(self) -> None:
        """Work until every file has its row."""
        files = sorted(path for path in self._folder.rglob("*") if path.is_file())
        turns = _turns(files)
        model = Model(self._model_dir)
        threads = [threading.Thread(target=self._work, args=(turns, model)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def rows(self) -> dict[str, Any]:
        """The label of each file; None for one that cannot be read."""
        return dict(self._table.execute("SELECT name, label FROM rows"))

    def _work(self, turns: Iterator[Sequence[Path]], model: Model) -> None:
        while True:
            with self._lock:
                files = next(turns, None)
            if files is None:
                return
            names = [path.relative_to(self._folder).as_posix() for path in files]
            images = [prepared(path.read_bytes()) for path in files]
            good = [image for image in images if image is not None]
            answers = iter(model.answers(np.stack(good)) if good else [])
            rows = [
                (name, *(next(answers) if image is not None else (None, None)))
                for name, image in zip(names, images, strict=True)
            ]
            with self._lock, self._table:
                self._table.executemany("INSERT INTO rows VALUES (?, ?, ?)", rows)


def _turns(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(files), IMAGES_A_TURN):
        yield files[start : start + IMAGES_A_TURN]


if __name__ == "__main__":
    warm_up, folder, model_dir, out = map(Path, sys.argv[1:])
    Script(warm_up, model_dir, out / "warm_up.sqlite").run()
    script = Script(folder, model_dir, out / "rows.sqlite")
    run_when_told(script.run, script.rows)
