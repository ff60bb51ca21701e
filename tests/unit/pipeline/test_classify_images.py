from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from imaging import ImageSpec, Prepared, Rejection, RejectReason, prepare
from model.serving.app import Limits
from pipeline import classify_images
from pipeline.answers import InvalidAnswerError
from pipeline.classify_images import ClassifyImages, Outcome
from pipeline.errors import SpecMismatchError, TransientError
from pipeline.events import Change, ImageRef
from pipeline.records import Status
from tests.fakes import SPEC, FakeEndpoint, FakePredictions, image_ref, jpeg, use_case_over


def run(
    use_case: ClassifyImages, refs: list[ImageRef], out_of_time: Callable[[], bool] = lambda: False
) -> dict[str, Outcome]:
    return {each.ref.key: each for each in use_case.run(refs, out_of_time)}


def test_a_batch_is_one_call_and_one_row_an_image() -> None:
    endpoint = FakeEndpoint()
    use_case = use_case_over({f"{shade}.jpg": jpeg(shade) for shade in range(20)}, endpoint)
    outcomes = run(use_case, [image_ref(f"{shade}.jpg") for shade in range(20)])
    assert endpoint.calls == [(SPEC.hash, 20)]
    assert all(outcome.written for outcome in outcomes.values())
    assert {key: outcome.record and outcome.record.label for key, outcome in outcomes.items()} == {
        f"incoming/{shade}.jpg": str(shade) for shade in range(20)
    }


def test_only_the_payload_limit_splits_a_batch() -> None:
    endpoint = FakeEndpoint()
    names = [f"{index}.jpg" for index in range(7)]
    run(
        use_case_over({name: jpeg() for name in names}, endpoint, max_images=3),
        [image_ref(n) for n in names],
    )
    assert [count for _, count in endpoint.calls] == [3, 3, 1]


def test_corrupt_image_is_recorded_as_rejected_beside_its_healthy_neighbours() -> None:
    use_case = use_case_over({"bad.jpg": b"<html>", "good.jpg": jpeg()})
    outcomes = run(use_case, [image_ref("bad.jpg"), image_ref("good.jpg")])
    bad, good = outcomes["incoming/bad.jpg"].record, outcomes["incoming/good.jpg"].record
    assert bad is not None
    assert (bad.status, bad.reason, bad.model) == (Status.REJECTED, "not_an_image", None)
    assert good is not None
    assert good.status is Status.CLASSIFIED


def test_a_batch_of_rejections_asks_the_endpoint_nothing() -> None:
    endpoint = FakeEndpoint()
    run(use_case_over({"bad.jpg": b""}, endpoint), [image_ref("bad.jpg")])
    assert endpoint.calls == []


def test_an_object_too_large_to_read_is_rejected() -> None:
    rejection = Rejection(RejectReason.TOO_MANY_BYTES, "too large", None, None, None)
    record = run(use_case_over({"big.jpg": rejection}), [image_ref("big.jpg")])[
        "incoming/big.jpg"
    ].record
    assert record is not None
    assert (record.status, record.reason) == (Status.REJECTED, "too_many_bytes")


def test_a_version_that_is_gone_is_recorded_as_deleted() -> None:
    record = run(use_case_over({"gone.jpg": None}), [image_ref("gone.jpg")])[
        "incoming/gone.jpg"
    ].record
    assert record is not None
    assert (record.status, record.reason) == (Status.DELETED, "gone")


def test_a_failing_read_fails_that_image_alone() -> None:
    use_case = use_case_over({"slow.jpg": TransientError("SlowDown", ""), "good.jpg": jpeg()})
    outcomes = run(use_case, [image_ref("slow.jpg"), image_ref("good.jpg")])
    assert isinstance(outcomes["incoming/slow.jpg"].error, TransientError)
    assert outcomes["incoming/good.jpg"].written


def test_a_failing_write_fails_that_image_alone() -> None:
    use_case = use_case_over({"a.jpg": jpeg(), "b.jpg": jpeg()})
    assert isinstance(use_case.predictions, FakePredictions)
    use_case.predictions.failing = {"incoming/a.jpg"}
    outcomes = run(use_case, [image_ref("a.jpg"), image_ref("b.jpg")])
    assert isinstance(outcomes["incoming/a.jpg"].error, TransientError)
    assert outcomes["incoming/b.jpg"].written


@pytest.mark.parametrize(
    "failure", [TransientError("Throttling", ""), InvalidAnswerError("short"), RuntimeError("bug")]
)
def test_a_failing_endpoint_fails_the_images_of_that_call_and_writes_nothing(
    failure: Exception,
) -> None:
    names = ["a.jpg", "b.jpg", "c.jpg"]
    use_case = use_case_over(
        {n: jpeg() for n in names}, FakeEndpoint(failures=[failure]), max_images=2
    )
    outcomes = run(use_case, [image_ref(name) for name in names])
    assert [outcomes[f"incoming/{name}"].error for name in names] == [failure, failure, None]
    assert isinstance(use_case.predictions, FakePredictions)
    assert set(use_case.predictions.rows) == {"incoming/c.jpg"}


def test_another_spec_at_the_endpoint_is_followed_once_and_kept_out_of_the_row() -> None:
    other = replace(SPEC, size=4, resize=4)
    endpoint = FakeEndpoint(spec=other)
    outcomes = run(use_case_over({"a.jpg": jpeg(9)}, endpoint), [image_ref("a.jpg")])
    assert endpoint.calls == [(SPEC.hash, 1), (other.hash, 1)]
    record = outcomes["incoming/a.jpg"].record
    assert record is not None
    assert record.label == "9"


def test_only_the_first_batch_after_a_promotion_is_prepared_twice() -> None:
    other = replace(SPEC, size=4, resize=4)
    endpoint = FakeEndpoint(spec=other)
    use_case = use_case_over({"a.jpg": jpeg(1), "b.jpg": jpeg(2), "c.jpg": jpeg(3)}, endpoint)
    run(use_case, [image_ref("a.jpg")])
    run(use_case, [image_ref("b.jpg")])
    assert [spec for spec, _ in endpoint.calls] == [SPEC.hash, other.hash, other.hash]
    endpoint.spec = SPEC  # and back
    run(use_case, [image_ref("c.jpg")])
    assert [spec for spec, _ in endpoint.calls[3:]] == [other.hash, SPEC.hash]
    assert isinstance(use_case.predictions, FakePredictions)
    assert len(use_case.predictions.rows) == 3


def test_an_endpoint_that_changes_its_spec_again_and_again_is_tried_later() -> None:
    other = replace(SPEC, size=4, resize=4)
    endpoint = FakeEndpoint(failures=[SpecMismatchError(other), SpecMismatchError(SPEC)])
    outcomes = run(use_case_over({"a.jpg": jpeg()}, endpoint), [image_ref("a.jpg")])
    assert isinstance(outcomes["incoming/a.jpg"].error, SpecMismatchError)
    assert len(endpoint.calls) == 2


def test_without_time_left_nothing_is_begun() -> None:
    endpoint = FakeEndpoint()
    outcomes = run(
        use_case_over({"a.jpg": jpeg()}, endpoint), [image_ref("a.jpg")], out_of_time=lambda: True
    )
    assert isinstance(outcomes["incoming/a.jpg"].error, TransientError)
    assert endpoint.calls == []


def test_the_same_event_twice_in_a_batch_is_answered_once() -> None:
    endpoint = FakeEndpoint()
    outcomes = run(
        use_case_over({"a.jpg": jpeg()}, endpoint), [image_ref("a.jpg"), image_ref("a.jpg")]
    )
    assert endpoint.calls == [(SPEC.hash, 1)]
    assert len(outcomes) == 1


def test_an_event_overtaken_in_its_batch_needs_no_work_and_is_no_failure() -> None:
    use_case = use_case_over({"a.jpg": jpeg()})
    older, newer = image_ref("a.jpg", "01", "v1"), image_ref("a.jpg", "02", "v2")
    outcomes = use_case.run([older, newer], lambda: False)
    assert [(each.ref, each.record is None, each.error) for each in outcomes] == [
        (older, True, None),
        (newer, False, None),
    ]


def test_a_removal_leaves_a_tombstone_after_the_rows_of_its_batch() -> None:
    use_case = use_case_over({"a.jpg": jpeg()})
    erased = replace(image_ref("a.jpg", "02"), change=Change.REMOVED, version_removed=True)
    use_case.run([erased, image_ref("a.jpg")], lambda: False)
    assert isinstance(use_case.predictions, FakePredictions)
    assert use_case.predictions.order == [
        "CLASSIFIED incoming/a.jpg",
        "DELETED incoming/a.jpg",
    ]


def test_a_batch_that_is_slow_to_prepare_sends_the_images_that_it_has() -> None:
    names = [f"{shade}.jpg" for shade in range(12)]
    use_case = use_case_over({name: jpeg(shade) for shade, name in enumerate(names)})
    prepared_images: list[bytes] = []

    def slow(data: bytes, spec: ImageSpec) -> Prepared | Rejection:
        prepared_images.append(data)
        return prepare(data, spec)

    use_case = replace(use_case, prepare=slow)
    outcomes = use_case.run(
        [image_ref(name) for name in names],
        out_of_time=lambda: False,
        too_late_to_read=lambda: len(prepared_images) >= 5,
    )

    written = [each for each in outcomes if each.written]
    stopped = [each for each in outcomes if isinstance(each.error, TransientError)]
    assert len(written) == len(prepared_images) >= 5
    assert len(written) + len(stopped) == 12
    assert stopped


def test_pixels_of_one_call_are_never_more_than_the_endpoint_decodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classify_images, "MAX_DECODED_BYTES", 4 * SPEC.image_bytes)
    endpoint = FakeEndpoint()
    names = [f"{index}.jpg" for index in range(10)]

    run(use_case_over({name: jpeg() for name in names}, endpoint), [image_ref(n) for n in names])

    assert [count for _, count in endpoint.calls] == [4, 4, 2]


def test_the_limit_of_decoded_pixels_is_the_endpoints() -> None:
    assert Limits().body_bytes == classify_images.MAX_DECODED_BYTES
