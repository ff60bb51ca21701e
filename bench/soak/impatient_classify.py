"""The function with shorter pauses after transient faults; bundled by `bench.soak`.

The normal pauses add up to an outage of an hour; a soak takes minutes.
"""

from pipeline import retries

retries.TRANSIENT_FAULT_SECONDS = (5, 10, 15, 20, 30, 40, 60, 60, 60)

from handlers.classify import handler  # noqa: E402

__all__ = ["handler"]
