"""With late, repeated and reordered events of S3, the table shows the true state."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.records import Status
from tests.cases import cases
from tests.unit.exactness.world import SHADES, World, label_of, world

KEYS = (
    "incoming/a b+c%20é.jpg",
    "incoming/🐶/=&?#.jpg",
    "incoming/" + "x" * (1024 - len("incoming/")),
)
NO_IMAGE = -1


@dataclass
class Truth:
    """The row that the table must have for a key, by the key's changes."""

    newest: str | None = None  # the version of the newest put; None: hidden by a delete marker
    shade: int = 0
    erased: set[str] = field(default_factory=set)
    versions: list[str] = field(default_factory=list)
    touched: bool = False


@dataclass
class History:
    """A world in which things happen, and the truth about it."""

    world: World
    truths: dict[str, Truth] = field(default_factory=lambda: {key: Truth() for key in KEYS})
    sent: list[str] = field(default_factory=list)

    def do(self, key: str, what: str, shade: int) -> None:
        truth = self.truths[key]
        if what == "put":
            content = b"no image" if shade == NO_IMAGE else SHADES[shade]
            self.sent.append(self.world.put(key, content))
            listed = self.world.s3.list_object_versions(Bucket="imagedrop-images-test", Prefix=key)
            truth.newest = next(v["VersionId"] for v in listed["Versions"] if v["IsLatest"])
            truth.versions.append(truth.newest)
            truth.shade, truth.touched = shade, True
        elif not (alive := [each for each in truth.versions if each not in truth.erased]):
            return  # moto makes no delete marker for a key that it does not know
        elif what == "delete":
            self.sent.append(self.world.delete(key))
            truth.newest, truth.touched = None, True
        else:
            self.sent.append(self.world.erase(key, alive[shade % len(alive)]))
            truth.erased.add(alive[shade % len(alive)])

    def check(self) -> None:
        rows, listed = self.world.rows(), self.world.listed()
        for key, truth in self.truths.items():
            if not truth.touched:
                assert key not in rows
            elif truth.newest is None or truth.newest in truth.erased:
                assert rows[key].status is Status.DELETED
                assert key not in listed
            elif truth.shade == NO_IMAGE:
                assert (rows[key].status, rows[key].reason) == (Status.REJECTED, "not_an_image")
                assert rows[key].version == truth.newest
            else:
                assert rows[key].status is Status.CLASSIFIED
                assert (rows[key].version, rows[key].label) == (
                    truth.newest,
                    label_of(truth.shade),
                )
                assert key in listed


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(KEYS),
            st.sampled_from(("put", "put", "delete", "erase")),
            st.sampled_from((*SHADES, NO_IMAGE)),
        ),
        # A delivery in between: how many of the events so far, the newest first or last.
        st.tuples(st.just("deliver"), st.integers(1, 4), st.booleans()),
    ),
    min_size=1,
    max_size=10,
)


@settings(
    max_examples=cases(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.generate],
    derandomize=True,  # the same histories for everybody
)
@given(steps=STEPS, order=st.randoms(use_true_random=False), batch=st.integers(1, 6))
def test_any_history_in_any_order_with_duplicates_ends_in_the_truth(
    steps: list[tuple[str, str | int, int | bool]], order: object, batch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, world(patch) as made:
        history = History(made)
        for first, second, third in steps:
            if first == "deliver":
                count = int(second)
                some = history.sent[-count:] if third else history.sent[:count]
                if some:
                    assert made.deliver(*some) == []
            else:
                history.do(first, str(second), int(third))
        # Everything once more, some of it twice, shuffled, in batches.
        late = [*history.sent, *history.sent[::2]]
        order.shuffle(late)  # type: ignore[attr-defined]
        for start in range(0, len(late), batch):
            assert made.deliver(*late[start : start + batch]) == []
        history.check()


def test_one_effect_for_each_image_whatever_comes_twice() -> None:
    with pytest.MonkeyPatch.context() as patch, world(patch) as made:
        bodies = [made.put(f"incoming/{number}.jpg", SHADES[0]) for number in range(5)]
        made.deliver(*bodies)
        before = made.rows()
        for _ in range(3):
            assert made.deliver(*bodies, *bodies) == []
        assert made.rows() == before
        assert len(before) == 5


def test_rows_name_the_model_that_answered_when_it_is_switched_between_two_calls() -> None:
    with pytest.MonkeyPatch.context() as patch, world(patch) as made:
        first = made.put("incoming/1.jpg", SHADES[0])
        second = made.put("incoming/2.jpg", SHADES[0])
        made.deliver(first)
        made.runtime.version = "2"
        made.deliver(second)
        rows = made.rows()
        models = {key: row.model for key, row in rows.items()}
        assert models == {"incoming/1.jpg": "dogs@1", "incoming/2.jpg": "dogs@2"}
