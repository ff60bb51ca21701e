"""`data.html`: the photos of a data set for people, with what ought to be put right first."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from imaging import prepare
from imaging.outcome import Rejection
from training.data.check import LOOKED_AT, Alike, DataCheck, largest_to_smallest
from training.data.dataset import LabelledImage, read_image
from training.reports.page import Section, bar_chart, page, table, text, thumbnail

SHOWN_GROUPS, SHOWN_IN_GROUP, SHOWN_REJECTED = 30, 12, 200
THUMBNAIL_PIXELS = 112


def data_page(check: DataCheck) -> str:
    """The whole file; rejected files are named and not shown, since nothing can show them."""
    return page(
        f"The photos in {check.data.folder.name}",
        [
            Section("What is there", _summary(check)),
            Section("Photos of each label", _distribution(check)),
            Section(
                f"Leaks: the same photo in two parts ({len(check.leaks)})",
                _groups(
                    check,
                    check.leaks,
                    "A model that was trained on a photo names it easily: what is measured with "
                    "it is too good. Remove all but one, or split anew: imagedrop data split.",
                ),
            ),
            Section(
                f"Conflicts: the same photo with two labels ({len(check.conflicts)})",
                _groups(check, check.conflicts, "One of the labels is wrong."),
            ),
            Section(f"Rejected ({len(check.rejected)})", _rejected(check)),
            Section(
                "Photos that are there more than once",
                _groups(
                    check,
                    [each for each in check.alike if not each.is_leak and not each.is_conflict],
                    "Within one part and label: they only count more than others.",
                ),
            ),
        ],
    )


def _summary(check: DataCheck) -> str:
    rows: list[tuple[str, object]] = [("classes", len(check.data.classes))]
    rows += [(f"photos, {part}", sum(each.values())) for part, each in check.counts.items()]
    rows += [
        ("rejected files", len(check.rejected)),
        ("groups of photos that look the same", len(check.alike)),
        ("fingerprint of the data", check.manifest_sha256),
    ]
    return table(("", ""), rows)


def _distribution(check: DataCheck) -> str:
    charts = []
    for part, labels in check.counts.items():
        every = {label: labels[label] for label in check.data.classes}
        times = largest_to_smallest(every)
        words = f"{part}: {sum(every.values()):,} photos; the largest class is {times:.1f} times "
        ordered = sorted(every.items(), key=lambda item: (-item[1], item[0]))
        charts.append(text(words + "the smallest.") + bar_chart(ordered))
    return "".join(charts)


def _rejected(check: DataCheck) -> str:
    shown = check.rejected[:SHOWN_REJECTED]
    rows = [(check.name_of(each.image), each.reason) for each in shown]
    more = len(check.rejected) - len(shown)
    return table(("file", "reason"), rows) + (text(f"And {more:,} more.") if more else "")


def _groups(check: DataCheck, found: Sequence[Alike], advice: str) -> str:
    if not found:
        return '<p class="soft">none</p>'
    shown = found[:SHOWN_GROUPS]
    parts = [text(advice)]
    for each in shown:
        kind = "the same file" if each.is_same_file else "looks the same"
        pictures = "".join(_picture(check, image) for image in each.images[:SHOWN_IN_GROUP])
        hidden = len(each.images) - SHOWN_IN_GROUP
        more = text(f"And {hidden:,} more photos; all are in data.json.") if hidden > 0 else ""
        parts.append(f'<p class="soft">{escape(kind)}</p>{pictures}{more}')
    if len(found) > len(shown):
        parts.append(text(f"And {len(found) - len(shown):,} more groups; all are in data.json."))
    return "".join(parts)


def _picture(check: DataCheck, image: LabelledImage) -> str:
    prepared = prepare(read_image(image.path), LOOKED_AT)
    if isinstance(prepared, Rejection):  # the file has changed since it was looked at
        return f"<p>{escape(check.name_of(image))}</p>"
    size = (LOOKED_AT.size, LOOKED_AT.size)
    picture = Image.frombytes("RGB", size, prepared.pixels).resize((THUMBNAIL_PIXELS,) * 2)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return thumbnail(buffer.getvalue(), check.name_of(image))
