"""Logs one JSON object a line to standard error; never any content of an image."""

from __future__ import annotations

import json
import logging
import sys
import time

LOGGER = logging.getLogger("model.serving")


class JsonLine(logging.Formatter):
    """Formats ``{"time", "level", "message", …fields, "traceback"?}``; fields are in ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, separators=(",", ":"))


def log_as_json() -> None:
    """Makes everything in this process log in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # The server's start and stop lines repeat ours.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def log(level: int, message: str, *, error: BaseException | None = None, **fields: object) -> None:
    """Writes one line; `error` adds its traceback."""
    LOGGER.log(level, message, exc_info=error, extra={"fields": fields})
