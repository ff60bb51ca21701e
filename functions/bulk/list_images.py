"""The first step: what is there, in chunks, with no more than one chunk in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bulk.chunks import write_chunk_names
from bulk.run import BulkRun, Listed, RunFiles, chunk_name
from bulk.work_bucket import WorkBucket

# What file managers leave in folders; nobody means to classify it.
SYSTEM_FILES = frozenset({"Thumbs.db", "desktop.ini"})

# A source's own idea of how far it is: small, plain JSON, kept in the state between two calls.
Position = Any


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Some of a source's objects, in its order, and where it goes on; None at its end."""

    listed: list[Listed]
    after: Position


class ImageSource(Protocol):
    """A folder, an inventory, a list of keys."""

    def pages(self, after: Position) -> Iterator[SourcePage]:
        """From ``after`` on; None is the beginning."""


@dataclass(slots=True)
class Progress:
    """How far the listing is: what one call of the function tells the next."""

    chunks: int = 0
    ignored_files: int = 0
    listed: int = 0
    ignored: int = 0
    after: Position = None
    done: bool = False


@dataclass(slots=True)
class _Buffer:
    """Lines that wait until they are a file."""

    size: int
    lines: list[dict[str, Any]] = field(default_factory=list)

    def full(self) -> Iterator[list[dict[str, Any]]]:
        while len(self.lines) >= self.size:
            yield self.lines[: self.size]
            del self.lines[: self.size]


@dataclass(frozen=True, slots=True)
class ListImages:
    """Writes the listing's chunks, and by name what it leaves out."""

    source: ImageSource
    work: WorkBucket
    run: BulkRun

    def go_on(self, progress: Progress, out_of_time: Callable[[], bool]) -> Progress:
        """Lists until the end, or until the time is; the same call again writes the same files."""
        files = RunFiles(self.run.run)
        listed, ignored = _Buffer(self.run.chunk_images), _Buffer(self.run.chunk_images)
        for page in self.source.pages(progress.after):
            for each in page.listed:
                reason = why_ignored(each.key)
                if reason is None:
                    listed.lines.append(each.to_json())
                    progress.listed += 1
                else:
                    ignored.lines.append({"key": each.key, "reason": reason})
                    progress.ignored += 1
            for lines in listed.full():
                self._write_chunk(files, progress, lines)
            for lines in ignored.full():
                self._write_ignored(files, progress, lines)
            progress.after = page.after
            progress.done = page.after is None
            if progress.done or out_of_time():
                break
        else:
            progress.done = True
        # What is left becomes shorter files, so that nothing has to wait in the state.
        if listed.lines:
            self._write_chunk(files, progress, listed.lines)
        if ignored.lines:
            self._write_ignored(files, progress, ignored.lines)
        if progress.done:
            write_chunk_names(self.work, files, progress.chunks, round_=0)
            totals = {"listed": progress.listed, "ignored": progress.ignored}
            self.work.write_json(files.listing_json, totals)
        return progress

    def _write_chunk(
        self, files: RunFiles, progress: Progress, lines: list[dict[str, Any]]
    ) -> None:
        self.work.write_lines(files.listing(chunk_name(progress.chunks)), lines)
        progress.chunks += 1

    def _write_ignored(
        self, files: RunFiles, progress: Progress, lines: list[dict[str, Any]]
    ) -> None:
        self.work.write_lines(files.ignored(progress.ignored_files), lines)
        progress.ignored_files += 1


def known_progress(
    progress: Mapping[str, Any] | None, work: WorkBucket, files: RunFiles
) -> Progress:
    """How far the listing is: as the last call said, or done if an earlier execution listed all."""
    if progress is not None:
        return Progress(**progress)
    chunks, totals = work.read_json(files.chunks(0)), work.read_json(files.listing_json)
    if chunks is None or totals is None:
        return Progress()
    return Progress(
        chunks=len(chunks), listed=totals["listed"], ignored=totals["ignored"], done=True
    )


def why_ignored(key: str) -> str | None:
    """The reason why a name is no image's; None for all others, whatever their ending."""
    name = key.rpartition("/")[2]
    if not name:
        return "folder_marker"
    if name in SYSTEM_FILES:
        return "system_file"
    return "hidden_file" if name.startswith(".") else None
