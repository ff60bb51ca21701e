"""``report.html``: the report for people, one file without scripts or anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;
padding:0 1rem;color:#1b1f24}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
.status{display:inline-block;padding:.1rem .6rem;border-radius:1rem;color:#fff;background:#1a7f37}
.status.INCOMPLETE{background:#cf222e}
table{border-collapse:collapse}td,th{padding:.15rem .8rem .15rem 0;text-align:left;
vertical-align:top;overflow-wrap:anywhere}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
.counts{display:flex;flex-wrap:wrap;gap:1rem;margin:1rem 0}
.counts div{border:1px solid #d0d7de;border-radius:.5rem;padding:.5rem 1rem;min-width:6rem}
.counts b{display:block;font-size:1.4rem;font-variant-numeric:tabular-nums}
.bar{fill:#0969da}svg text{font:11px system-ui,sans-serif;fill:#57606a}.muted{color:#57606a}
"""
COUNTS = ("listed", "classified", "rejected", "skipped", "failed", "ignored", "unaccounted")
LABELS_SHOWN = 30


def report_page(report: Mapping[str, Any]) -> str:
    """
    Args:
        report: what ``report.json`` holds.
    """
    status = escape(report["status"])
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{escape(report["run"])}</title><style>{STYLE}</style>
<h1>{escape(report["run"])} <span class="status {status}">{status}</span></h1>
<p class="muted">{escape(_source(report["source"]))} · model {escape(report["model"])}
 · {escape(report["started_at"])} to {escape(report["finished_at"])}</p>
<div class="counts">{"".join(_count(name, report[name]) for name in COUNTS)}</div>
<p>{_throughput(report)}</p>
<h2>Labels</h2>{_labels(report["labels"])}
<h2>Confidence</h2>{_histogram(report["confidence_histogram"])}
<h2>Rejected</h2>{_reasons(report["rejections"])}{_examples(report["examples"]["rejected"])}
<h2>Skipped</h2>{_reasons(report["skips"])}
<h2>Failed attempts</h2>{_reasons(report["failures"])}{_examples(report["examples"]["failed"])}
<h2>Transform jobs</h2>{_jobs(report["transform_jobs"])}
<h2>Estimated cost</h2>{_cost(report["estimated_cost_dollars"])}
<p class="muted">Every image by name: {escape(report["ledger"])}</p>
</html>
"""


def _source(source: Mapping[str, Any]) -> str:
    if source["kind"] == "folder":
        return f"s3://{source['bucket']}/{source['prefix']}"
    return str(source.get("manifest") or source.get("uri"))


def _count(name: str, value: int) -> str:
    return f"<div><b>{value:,}</b>{name}</div>"


def _throughput(report: Mapping[str, Any]) -> str:
    rate = report["images_per_second"]
    return (
        f"{report['seconds']:,.1f} seconds, "
        f"{'no' if rate is None else f'{rate:,.1f}'} images a second over all; "
        f"{report['rounds']} round{'s' if report['rounds'] > 1 else ''}, "
        f"{report['shards']:,} shards."
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    heads = "".join(f"<th>{escape(each)}</th>" for each in head)
    body = "".join("<tr>" + "".join(_cell(each) for each in row) + "</tr>" for row in rows)
    return f"<table><tr>{heads}</tr>{body}</table>" if body else '<p class="muted">none</p>'


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{escape(str(value))}</td>"


def _labels(labels: Mapping[str, int]) -> str:
    shown = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    table = _table(("label", "images"), shown[:LABELS_SHOWN])
    left = len(shown) - LABELS_SHOWN
    return table + (f'<p class="muted">and {left} more, in report.json</p>' if left > 0 else "")


def _reasons(reasons: Mapping[str, int]) -> str:
    return _table(("reason", "images"), reasons.items())


def _examples(examples: list[dict[str, Any]]) -> str:
    if not examples:
        return ""
    rows = _table(("image", "reason"), ((each["key"], each["reason"]) for each in examples))
    return f"<details><summary>the first {len(examples)} by name</summary>{rows}</details>"


def _jobs(jobs: list[dict[str, Any]]) -> str:
    rows = ((job["name"], job["status"], job["seconds"], job["reason"] or "") for job in jobs)
    return _table(("job", "status", "seconds", "reason"), rows)


def _cost(cost: Mapping[str, float]) -> str:
    return _table(("for", "dollars"), ((name, f"{value:.6f}") for name, value in cost.items()))


def _histogram(counts: list[int]) -> str:
    """Bars of how many images were classified with which confidence, 0 to 1."""
    width, height = 24, 100
    most = max(counts) or 1
    bars = "".join(
        f'<rect class="bar" x="{index * width}" y="{height - height * count / most:.1f}"'
        f' width="{width - 2}" height="{height * count / most:.1f}"><title>{count}</title></rect>'
        for index, count in enumerate(counts)
    )
    ticks = "".join(
        f'<text x="{width * len(counts) * part / 4:.0f}" y="{height + 15}">{part / 4:.2f}</text>'
        for part in range(5)
    )
    view = f"0 0 {width * len(counts) + 30} {height + 20}"
    return f'<svg viewBox="{view}" width="540" role="img">{bars}{ticks}</svg>'
