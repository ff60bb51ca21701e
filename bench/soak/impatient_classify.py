"""The function as it is, but for shorter pauses after passing faults; bundled by `bench.soak`.

Their sum is made for an outage of an hour; a soak has minutes.
"""

from pipeline.adapters import images_queue

images_queue.PASSING_FAULT_SECONDS = (5, 10, 15, 20, 30, 40, 60, 60, 60)

from handlers.classify import handler  # noqa: E402

__all__ = ["handler"]
