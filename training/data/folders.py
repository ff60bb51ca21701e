"""Lists the files of a folder, and names the files left out with the reasons."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

# Names that file managers, archivers, network drives and notebooks leave beside photos; lower case.
SYSTEM_NAMES = frozenset(
    {
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
        *("__macosx", "__pycache__", "@eadir", "@recycle", "#recycle", "$recycle.bin"),
        *("lost+found", "system volume information"),
    }
)
# The file that ``imagedrop data pull`` writes beside the classes; it is left out silently.
LINEAGE = "reviewed.json"
# Suffixes of other files, so that a folder of annotations is not taken for a class of photos.
DATA_SUFFIXES = frozenset(
    {
        *(".csv", ".tsv", ".txt", ".md", ".rst", ".json", ".jsonl", ".xml", ".yaml", ".yml"),
        *(".toml", ".ini", ".cfg", ".lst", ".log", ".html", ".htm", ".pdf", ".doc", ".docx"),
        *(".xls", ".xlsx", ".py", ".ipynb", ".sh", ".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz"),
        *(".7z", ".rar", ".npy", ".npz", ".mat", ".h5", ".hdf5", ".parquet", ".arrow", ".db"),
        *(".tfrecord", ".lmdb", ".sqlite", ".pkl", ".pt", ".pth", ".ckpt", ".onnx"),
        *(".safetensors", ".mp4", ".mov", ".avi", ".mkv", ".webm", ".mp3", ".wav"),
    }
)


class Reason(StrEnum):
    """Why something in a folder is left out."""

    SYSTEM = "is hidden or a system file"
    LINKED_FOLDER = "is a link to a folder, and such links are not followed"
    BROKEN_LINK = "is a link that leads nowhere"
    NOT_A_FILE = "is neither a file nor a folder"
    UNREADABLE = "cannot be read"
    UNREADABLE_FILE = "is a file that cannot be read"
    NOT_UTF8 = "has a name that is not UTF-8, which S3 does not accept as a key"
    LONG_NAME = "has a path longer than 1024 bytes, which S3 does not accept as a key"
    NO_CLASS = "is in no class folder"
    NO_PHOTOS = "holds no photos, so it is no class"

    @property
    def next_step(self) -> str:
        """What the user can do to include it."""
        return _NEXT_STEPS[self]


_NEXT_STEPS = {
    Reason.SYSTEM: "Rename it if it is a photo.",
    Reason.LINKED_FOLDER: "Copy the folder to the place of the link.",
    Reason.BROKEN_LINK: "Remove it, or put the file back.",
    Reason.NOT_A_FILE: "Move it out of the folder.",
    Reason.UNREADABLE: "Allow reading it: chmod -R u+rX FOLDER",
    Reason.UNREADABLE_FILE: "Put it back, or allow reading it: chmod u+r FILE",
    Reason.NOT_UTF8: "Rename it.",
    Reason.LONG_NAME: "Give it a shorter name, or move it up.",
    Reason.NO_CLASS: "Move it into a class folder if it is a photo to learn from.",
    Reason.NO_PHOTOS: "Add photos, or remove the folder.",
}
# Files that are certainly not wanted: they are only counted.
_EXPECTED = frozenset({Reason.SYSTEM, Reason.NO_PHOTOS})


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder that is not read."""

    path: Path
    reason: Reason

    @property
    def is_problem(self) -> bool:
        """Returns whether a photo may be missing, so that a command must not report success."""
        if self.reason is Reason.NO_CLASS:
            return may_be_photo(self.path)
        return self.reason not in _EXPECTED

    def __str__(self) -> str:
        return f"{self.path} {self.reason}. {self.reason.next_step}"


@dataclass(frozen=True, slots=True)
class FolderContent:
    """Everything below a folder, sorted by path; ``folders`` has empty ones too."""

    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]


def list_folder(folder: Path) -> FolderContent:
    """Lists everything below a folder; opens no file and follows no link to a folder.

    Links to files are files. Every file of a hidden folder is left out by its own path.
    """
    files: list[Path] = []
    folders: list[Path] = []
    left_out: list[LeftOut] = []
    # A list of folders to visit, because names may be nested deeper than Python's calls.
    waiting = [(folder, False)]
    while waiting:
        place, is_system = waiting.pop()
        try:
            entries = [Path(each) for each in os.scandir(place)]
        except OSError:
            left_out.append(LeftOut(place, Reason.SYSTEM if is_system else Reason.UNREADABLE))
            continue
        for path in entries:
            if place == folder and path.name == LINEAGE:
                continue
            reason = Reason.SYSTEM if is_system or is_system_name(path.name) else _why_unread(path)
            if _is_folder(path) and not path.is_symlink():
                waiting.append((path, reason is Reason.SYSTEM))
                if reason is None:
                    folders.append(path)
            elif reason is None:
                files.append(path)
            else:
                left_out.append(LeftOut(path, reason))
    left_out.sort(key=lambda each: each.path)
    return FolderContent(tuple(sorted(files)), tuple(sorted(folders)), tuple(left_out))


def _why_unread(path: Path) -> Reason | None:
    is_link = path.is_symlink()
    if _is_folder(path):
        return Reason.LINKED_FOLDER if is_link else None
    if os.path.isfile(path):
        return None if os.access(path, os.R_OK) else Reason.UNREADABLE_FILE
    if is_link:
        return Reason.BROKEN_LINK
    # The names in a folder can be listed by someone who cannot open the files.
    return Reason.NOT_A_FILE if os.path.lexists(path) else Reason.UNREADABLE


def _is_folder(path: Path) -> bool:
    # Path.is_dir raises where a folder above may not be searched.
    return os.path.isdir(path)


def is_system_name(name: str) -> bool:
    """Returns whether a name is hidden, or one that systems leave in folders (``__MACOSX``)."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def may_be_photo(path: Path) -> bool:
    """Returns whether a file may be a photo by its name; photos need no extension."""
    return path.suffix.lower() not in DATA_SUFFIXES


def explain(left_out: Iterable[LeftOut], named: int = 10) -> list[str]:
    """Explains the files left out: a line for all hidden files, and one for each problem.

    Args:
        named: at most so many of each reason are named; the others are counted.
    """
    lines = []
    by_reason: dict[Reason, list[LeftOut]] = {}
    for each in left_out:
        by_reason.setdefault(each.reason, []).append(each)
    for reason, these in by_reason.items():
        if reason is Reason.SYSTEM:
            lines.append(f"Left out {len(these)} hidden or system files, such as {these[0].path}.")
            continue
        lines += [f"Left out: {each}" for each in these[:named]]
        if len(these) > named:
            lines.append(f"Left out: {len(these) - named} more. Each {reason}.")
    return lines
