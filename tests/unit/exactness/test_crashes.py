"""Killed at any of its calls, before or after it took effect: the rerun ends in the same table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pipeline.records import Status
from tests.unit.exactness.world import SHADES, Killed, World, world

pytestmark = pytest.mark.thorough


@pytest.fixture
def new_world() -> Iterator[Callable[[], World]]:
    with pytest.MonkeyPatch.context() as patch:
        opened = []

        def make() -> World:
            if opened:
                opened.pop().__exit__(None, None, None)
            context = world(patch)
            opened.append(context)
            return context.__enter__()

        yield make
        opened.pop().__exit__(None, None, None)


def history(made: World) -> list[str]:
    """New, overwritten, deleted, erased, rejected, twice: everything in one batch."""
    first = made.put("incoming/overwritten.jpg", SHADES[0])
    gone = made.put("incoming/deleted.jpg", SHADES[60])
    erased = made.put("incoming/erased.jpg", SHADES[60])
    version = made.s3.head_object(Bucket="imagedrop-images-test", Key="incoming/erased.jpg")
    return [
        first,
        made.put("incoming/overwritten.jpg", SHADES[200]),
        gone,
        made.delete("incoming/deleted.jpg"),
        erased,
        made.erase("incoming/erased.jpg", version["VersionId"]),
        made.put("incoming/new.jpg", SHADES[60]),
        made.put("incoming/rejected.jpg", b"no image"),
        first,
    ]


def outcome(made: World) -> dict[str, tuple[Status, str | None]]:
    return {key: (row.status, row.label or row.reason) for key, row in made.rows().items()}


EXPECTED = {
    "incoming/overwritten.jpg": (Status.CLASSIFIED, "200"),
    "incoming/deleted.jpg": (Status.DELETED, None),
    "incoming/erased.jpg": (Status.DELETED, None),
    "incoming/new.jpg": (Status.CLASSIFIED, "60"),
    "incoming/rejected.jpg": (Status.REJECTED, "not_an_image"),
}


def kill_at(place: int) -> Callable[[int, str], None]:
    def when(number: int, _name: str) -> None:
        if number == place:
            raise Killed

    return when


def same(found: dict[str, tuple[Status, str | None]]) -> bool:
    """Tombstones of something that was gone before it was read say so; all else is the same."""
    return {key: value if value[0] is not Status.DELETED else (value[0], None)
            for key, value in found.items()} == EXPECTED  # fmt: skip


def test_killed_at_every_call_the_rerun_ends_in_the_same_table(
    new_world: Callable[[], World],
) -> None:
    made = new_world()
    assert made.deliver(*history(made)) == []
    assert same(outcome(made))
    names = list(made.calls.names)
    assert {"get_object", "invoke_endpoint", "update_item"} <= set(names)
    assert len(names) >= 9
    for place in range(len(names)):
        for moment in ("before", "after"):
            made = new_world()
            bodies = history(made)
            setattr(made.calls, moment, kill_at(place))
            with pytest.raises(Killed):
                made.deliver(*bodies)
            made.calls.is_dead = False
            setattr(made.calls, moment, lambda _number, _name: None)

            assert made.deliver(*bodies) == [], (place, moment)

            assert same(outcome(made)), (place, moment, names[place])
            assert made.letters() == []


def test_killed_while_giving_up_the_image_is_a_dead_letter_by_name(
    new_world: Callable[[], World],
) -> None:
    for place in range(3):
        for moment in ("before", "after"):
            made = new_world()
            good, bad = made.put("incoming/good.jpg", SHADES[0]), "no notification"
            setattr(made.calls, moment, kill_at(place))
            with pytest.raises(Killed):
                made.deliver(good, bad, receives=10)
            made.calls.is_dead = False
            setattr(made.calls, moment, lambda _number, _name: None)

            assert made.deliver(good, bad, receives=10) == []

            assert set(made.letters()) == {bad}, (place, moment)
            assert outcome(made) == {"incoming/good.jpg": (Status.CLASSIFIED, "0")}
