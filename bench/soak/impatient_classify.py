"""The function as it is, but for shorter pauses after passing faults; bundled by `bench.soak`.

Their sum is made for an outage of an hour; a soak has minutes.
"""

from pipeline import retries

retries.TRANSIENT_FAULT_SECONDS = (5, 10, 15, 20, 30, 40, 60, 60, 60)

from handlers.classify import handler  # noqa: E402

__all__ = ["handler"]
