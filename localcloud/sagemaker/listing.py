"""Filter, order and pages of the List operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.sagemaker.errors import validation_exception

DEFAULT_PAGE = 10  # SageMaker's own default for MaxResults


def list_page(
    records: Iterable[Mapping[str, Any]],
    request: Mapping[str, Any],
    *,
    noun: str,
    members: tuple[str, ...],
) -> dict[str, Any]:
    """One page of ``records`` (description members) as a List operation answers it.

    ``noun`` is the word that its members begin with (``Model``, ``Endpoint`` …): names are in
    ``<noun>Name``, status in ``<noun>Status``, the answer is in ``<noun>s``.
    """
    name = f"{noun}Name"
    sort_by = request.get("SortBy", "CreationTime")
    sort_member = {"Name": name, "Status": f"{noun}Status"}.get(sort_by, sort_by)
    chosen = [record for record in records if _matches(record, request, noun)]
    chosen.sort(key=lambda record: (record[sort_member], record[name]))
    if request.get("SortOrder", "Descending") == "Descending":
        chosen.reverse()
    start = _start(request)
    end = start + int(request.get("MaxResults", DEFAULT_PAGE))
    page = [{m: record[m] for m in members if m in record} for record in chosen[start:end]]
    answer: dict[str, Any] = {_plural(noun): page}
    if end < len(chosen):
        answer["NextToken"] = str(end)
    return answer


def _plural(noun: str) -> str:
    return f"{noun}Summaries" if noun.endswith("Job") else f"{noun}s"


def _matches(record: Mapping[str, Any], request: Mapping[str, Any], noun: str) -> bool:
    created = record["CreationTime"]
    modified = record.get("LastModifiedTime", created)
    return (
        request.get("NameContains", "") in record[f"{noun}Name"]
        and request.get("StatusEquals") in (None, record.get(f"{noun}Status"))
        and request.get("CreationTimeAfter", created) <= created
        and request.get("CreationTimeBefore", created) >= created
        and request.get("LastModifiedTimeAfter", modified) <= modified
        and request.get("LastModifiedTimeBefore", modified) >= modified
    )


def _start(request: Mapping[str, Any]) -> int:
    token = request.get("NextToken", "0")
    if not token.isdigit():
        raise validation_exception("Invalid pagination token")
    return int(token)
