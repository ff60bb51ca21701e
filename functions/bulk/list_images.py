"""The first step: lists the source in chunks, with at most one chunk in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bulk.chunks import write_chunk_names
from bulk.run import BulkRun, Listed, RunFiles, chunk_name
from bulk.work_bucket import WorkBucket

# Names that file managers, archivers, network drives and notebooks leave beside photos; lower case.
# As for folders on disk (training.data.folders), which Lambda does not have.
SYSTEM_NAMES = frozenset(
    {
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
        *("__macosx", "__pycache__", "@eadir", "@recycle", "#recycle", "$recycle.bin"),
        *("lost+found", "system volume information"),
    }
)

# A source's position: small, plain JSON, kept in the state between two calls.
Position = Any


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Objects of a source, in its order, and the position of the next page; None at the end."""

    listed: list[Listed]
    after: Position


class ImageSource(Protocol):
    """A folder, an inventory, a list of keys."""

    def pages(self, after: Position) -> Iterator[SourcePage]:
        """Yields the pages from ``after`` on; None is the beginning."""


@dataclass(slots=True)
class Progress:
    """The progress of the listing, which one call of the function passes to the next."""

    chunks: int = 0
    ignored_files: int = 0
    listed: int = 0
    ignored: int = 0
    ignored_reasons: dict[str, int] = field(default_factory=dict)
    after: Position = None
    done: bool = False


@dataclass(slots=True)
class _Buffer:
    """Lines to be written once they fill a file."""

    size: int
    lines: list[dict[str, Any]] = field(default_factory=list)

    def full(self) -> Iterator[list[dict[str, Any]]]:
        while len(self.lines) >= self.size:
            yield self.lines[: self.size]
            del self.lines[: self.size]


@dataclass(slots=True)
class _ListingFiles:
    """Writes full chunks of listed and ignored lines, and counts them in ``progress``."""

    work: WorkBucket
    run: BulkRun
    progress: Progress
    listed: _Buffer
    ignored: _Buffer

    def add(self, page: SourcePage) -> None:
        for each in page.listed:
            prefix = self.run.source.get("prefix")
            # A row exists, so this was accepted as an image, whatever its name.
            reason = why_ignored(each.key, prefix) if each.live is None else None
            if reason is None:
                self.listed.lines.append(each.to_json())
                self.progress.listed += 1
            else:
                self.ignored.lines.append({"key": each.key, "reason": reason})
                self.progress.ignored += 1
                reasons = self.progress.ignored_reasons
                reasons[reason] = reasons.get(reason, 0) + 1
        for lines in self.listed.full():
            self._write_chunk(lines)
        for lines in self.ignored.full():
            self._write_ignored(lines)
        self.progress.after = page.after

    def write_rest(self) -> None:
        """Writes the remaining lines as shorter files, so that the state need not hold them."""
        if self.listed.lines:
            self._write_chunk(self.listed.lines)
        if self.ignored.lines:
            self._write_ignored(self.ignored.lines)

    def _write_chunk(self, lines: list[dict[str, Any]]) -> None:
        name = self.run.files.listing(chunk_name(self.progress.chunks))
        self.work.write_lines(name, lines)
        self.progress.chunks += 1

    def _write_ignored(self, lines: list[dict[str, Any]]) -> None:
        self.work.write_lines(self.run.files.ignored(self.progress.ignored_files), lines)
        self.progress.ignored_files += 1


def list_images(
    source: ImageSource,
    work: WorkBucket,
    run: BulkRun,
    progress: Progress,
    out_of_time: Callable[[], bool],
) -> Progress:
    """Writes chunks of the listed and of the ignored names until the end or the time is up.

    Returns the updated ``progress``. The same call again writes the same files.
    """
    size = run.chunk_images
    files = _ListingFiles(work, run, progress, _Buffer(size), _Buffer(size))
    for page in source.pages(progress.after):
        files.add(page)
        progress.done = page.after is None
        if progress.done or out_of_time():
            break
    else:
        progress.done = True
    files.write_rest()
    if progress.done:
        write_chunk_names(work, run.files, progress.chunks, round_=0)
        totals = {
            "listed": progress.listed,
            "ignored": progress.ignored,
            "ignored_reasons": progress.ignored_reasons,
        }
        work.write_json(run.files.listing_json, totals)
    return progress


def known_progress(
    progress: Mapping[str, Any] | None, work: WorkBucket, files: RunFiles
) -> Progress:
    """Returns the listing's progress by the last call; done if an earlier execution listed all."""
    if progress is not None:
        return Progress(**progress)
    chunks, totals = work.read_json(files.chunks(0)), work.read_json(files.listing_json)
    if chunks is None or totals is None:
        return Progress()
    return Progress(
        chunks=len(chunks), listed=totals["listed"], ignored=totals["ignored"], done=True
    )


def why_ignored(key: str, folder: str | None) -> str | None:
    """Returns why a name is ignored; None if it is listed, whatever its extension.

    Args:
        folder: key of the folder that is listed, with its last slash: folders below it may be
            hidden or a system's. None where keys are named one by one, which only their own names
            can take out.
    """
    *folders, name = key.removeprefix(folder or "").split("/")
    if not name:
        return "folder_marker"
    if folder is not None:
        if any(each.startswith(".") for each in folders):
            return "hidden_folder"
        if any(each.lower() in SYSTEM_NAMES for each in folders):
            return "system_folder"
    if name.startswith("."):
        return "hidden_file"
    return "system_file" if name.lower() in SYSTEM_NAMES else None
