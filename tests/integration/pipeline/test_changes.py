"""History and counters from the table's stream, on the deployed stack with enforced permissions."""

from __future__ import annotations

from typing import Any

from api.requests import id_of
from tests.integration.conftest import Stack
from tests.integration.pipeline.test_api import call
from tests.integration.pipeline.test_drop import PHOTOS, drop, eventually, row_of

KEY = "incoming/changes/photo.jpg"


def versions(stack: Stack, image: str) -> list[dict[str, Any]]:
    found: dict[str, Any] = call(stack, "GET", f"/images/{id_of(image)}/history").json()
    return list(found["versions"])


def counted(stack: Stack) -> int:
    days = call(stack, "GET", "/summary?days=2").json()["days"]
    return sum(sum(day["statuses"].values()) for day in days)


def test_a_replaced_answer_is_history_until_the_image_is_deleted(stack: Stack) -> None:
    before = counted(stack)
    for name in ("pug.jpg", "cat.png"):
        record = row_of(stack, drop(stack, KEY, (PHOTOS / name).read_bytes()))
    image = record.image
    assert eventually(lambda: len(versions(stack, image)) == 2)
    assert [each["label"] for each in versions(stack, image)] == ["not_a_dog", "pug"]
    assert eventually(lambda: counted(stack) >= before + 2)
    stack.target.client("s3").delete_object(Bucket=stack.target.images_bucket, Key=KEY)
    assert eventually(lambda: [each["status"] for each in versions(stack, image)] == ["DELETED"])


def test_looks_of_drops_are_counted_and_compared_by_the_api_and_once_a_day(stack: Stack) -> None:
    row_of(stack, drop(stack, "incoming/changes/looks.jpg", (PHOTOS / "pug.jpg").read_bytes()))

    def compared() -> dict[str, int]:
        rows = call(stack, "GET", "/drift?days=1").json()["compared"]
        return {each["what"]: each["images"] for each in rows if each["against"] == "days before"}

    assert eventually(lambda: compared()["brightness"] >= 1)
    assert compared()["brightness"] == compared()["aspect"] == compared()["labels"]
    functions = stack.target.client("lambda").list_functions()["Functions"]
    (name,) = [
        each["FunctionName"] for each in functions if "DriftFunction" in each["FunctionName"]
    ]
    answer = stack.target.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()
