"""Reads which folders are parts (train, valid, test) and which are classes.

A folder that can be read in two ways is refused by name, because a wrong guess makes a part a
class, or leaves photos out, and the training still succeeds.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.data.folders import FolderContent, LeftOut, Reason, list_folder, may_be_photo
from training.errors import TrainingError

PART_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "validate", "dev"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Words beside the part's own: train_images, Test Set, val2017.
FILLERS = frozenset(
    {"set", "data", "dataset", "image", "images", "img", "imgs", "photo", "photos", "split"}
)
_WORDS = re.compile(r"[a-z]+")
# The original course numbers its folders: 001.Affenpinscher. Measures keep their numbers: 1.5,
# 100.ml.
NUMBERED = re.compile(r"^\d{3}\.(?=[^\W\d_]{3})")


@dataclass(frozen=True, slots=True)
class ClassFolder:
    """The photos of one class in one part; ``part`` is None without parts."""

    path: Path
    part: str | None
    photos: tuple[Path, ...]

    @property
    def name(self) -> str:
        """The folder's name in Unicode's NFC: file systems store accents in two forms."""
        return unicodedata.normalize("NFC", self.path.name)

    @property
    def label(self) -> str:
        return label_of(self.path.name)


@dataclass(frozen=True, slots=True)
class Layout:
    """The class folders that hold photos, and what is left out beside them."""

    classes: tuple[ClassFolder, ...]
    left_out: tuple[LeftOut, ...]


def label_of(folder_name: str) -> str:
    """The label of a folder: its name in Unicode's NFC, without the number of the course.

    ``001.Affenpinscher`` is ``Affenpinscher``; upper and lower case stay. A name is one label in
    both forms in which file systems store its accents.
    """
    return unicodedata.normalize("NFC", NUMBERED.sub("", folder_name))


def part_of(name: str) -> str | None:
    """The part that a name says, in any case and spelling: ``Training``, ``val2017``, ``TestSet``.

    None where it says no part, or more than a part: ``freight train``, ``train and test``.
    """
    said = _words(name) - FILLERS
    return PART_WORDS.get(said.pop()) if len(said) == 1 else None


def _words(name: str) -> set[str]:
    separate = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return {
        word.removesuffix("set") if word.removesuffix("set") in PART_WORDS else word
        for word in _WORDS.findall(separate)
    }


@dataclass(frozen=True, slots=True)
class _Branch:
    """A folder with all files and folders below it."""

    path: Path
    files: tuple[Path, ...]
    folders: tuple[Path, ...]

    @property
    def inside(self) -> tuple[_Branch, ...]:
        """The folders directly in it, sorted by name, empty ones too."""
        depth = len(self.path.parts)
        files: dict[str, list[Path]] = defaultdict(list)
        folders: dict[str, list[Path]] = {}
        for each in self.folders:
            folders.setdefault(each.parts[depth], []).append(each)
        for each in self.files:
            files[each.parts[depth]].append(each)
        return tuple(
            _Branch(
                self.path / name,
                tuple(files[name]),
                tuple(each for each in below if len(each.parts) > depth + 1),
            )
            for name, below in sorted(folders.items())
        )

    @property
    def own_files(self) -> tuple[Path, ...]:
        depth = len(self.path.parts)
        return tuple(each for each in self.files if len(each.parts) == depth + 1)

    @property
    def has_photos(self) -> bool:
        return any(may_be_photo(each) for each in self.files)

    @property
    def has_own_photos(self) -> bool:
        return any(may_be_photo(each) for each in self.own_files)

    @property
    def full_folders(self) -> tuple[_Branch, ...]:
        """The folders directly in it that hold photos at any depth."""
        return tuple(each for each in self.inside if each.has_photos)


def read_layout(folder: Path) -> Layout:
    """Reads a folder laid out as ``class/photo`` or ``train|valid|test/class/photo``.

    Raises:
        TrainingError: it can be read in two ways, a folder or every photo of a class cannot be
            read, a folder is a link, or a link leads to a file outside.
    """
    content = list_folder(folder)
    _refuse_links(folder, content)
    root = _Branch(folder, content.files, content.folders)
    parts = _parts(root)
    if not parts:
        _refuse_unknown_parts(root)
        parts = [(None, root)]
    classes = [each for part, branch in parts for each in _class_folders(branch, part)]
    _refuse_too_few(root, classes)
    _refuse_same_labels(classes)
    read = {*(branch.path for _, branch in parts), *(each.path for each in classes)}
    holders = {root.path: root} | {branch.path: branch for _, branch in parts}
    left_out = list(content.left_out)
    _refuse_unreadable_classes(read, holders.values(), left_out)
    for each in holders.values():
        left_out += [LeftOut(path, Reason.NO_CLASS) for path in each.own_files]
        left_out += [
            LeftOut(inner.path, Reason.NO_PHOTOS) for inner in each.inside if inner.path not in read
        ]
    return Layout(tuple(classes), tuple(sorted(left_out, key=lambda each: each.path)))


def _refuse_links(folder: Path, content: FolderContent) -> None:
    for left_out in content.left_out:
        if left_out.reason in (Reason.LINKED_FOLDER, Reason.UNREADABLE):
            raise TrainingError(f"{left_out.path} {left_out.reason}.", left_out.reason.next_step)
    root = folder.resolve()
    for path in content.files:
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise TrainingError(
                f"{path} links to a file outside {root}.", "Copy the file into the folder."
            )


def _refuse_unreadable_classes(
    read: Collection[Path], holders: Iterable[_Branch], left_out: Iterable[LeftOut]
) -> None:
    """Refuses to leave a whole class out because none of its photos can be read."""
    unreadable = [each for each in left_out if each.reason is Reason.UNREADABLE_FILE]
    folders = [inner.path for each in holders for inner in each.inside if inner.path not in read]
    for folder in folders if unreadable else ():
        for each in unreadable:
            if each.path.is_relative_to(folder):
                raise TrainingError(
                    f"No photo of {folder} can be read, such as {each.path}.",
                    Reason.UNREADABLE.next_step,
                )


def _parts(root: _Branch) -> list[tuple[str | None, _Branch]]:
    """The parts and their folders; none where the folders are classes.

    Raises:
        TrainingError: that is not clear.
    """
    named = {each.path: part for each in root.full_folders if (part := part_of(each.path.name))}
    others = [each for each in root.full_folders if each.path not in named]
    if not any(each.full_folders for each in root.full_folders if each.path in named):
        _refuse_unlabelled_parts(root, list(named), others)
        return []
    if others:
        raise TrainingError(
            f"{root.path} has parts ({_names(named)}), and other folders "
            f"with photos: {_names(each.path for each in others)}.",
            "Move the others out, or rename them to train, valid or test. A class called train "
            "has its photos directly in its folder.",
        )
    folders: dict[str, Path] = {}
    for path, part in named.items():
        other = folders.setdefault(part, path)
        if other is not path:
            raise TrainingError(
                f"{other.name} and {path.name} are both the part {part}.",
                "Rename one of them to train, valid or test, or move it out.",
            )
    return [(named[each.path], each) for each in root.full_folders]


def _refuse_unlabelled_parts(
    root: _Branch, named: Sequence[Path], others: Sequence[_Branch]
) -> None:
    """Refuses parts with photos directly in them, but not a class ``train`` beside others."""
    is_class = others and [each.name.lower() for each in named] == ["train"]
    if named and not is_class:
        raise TrainingError(
            f"{root.path} has folders that are named like parts and hold photos, but no class "
            f"folders: {_names(named)}.",
            "Lay it out as train/class/photo, or move photos without a class out. Rename a class "
            "that has such a name.",
        )


def _class_folders(branch: _Branch, part: str | None) -> list[ClassFolder]:
    found = []
    for each in branch.full_folders:
        _refuse_parts_inside(each, part)
        _refuse_name(each.path)
        found.append(ClassFolder(each.path, part, each.files))
    return found


def _refuse_parts_inside(branch: _Branch, part: str | None) -> None:
    """Refuses a class that may be a part, or hold parts: ``seg_train``, ``archive/train/cat``.

    Inside a part, folders of a class may have any name: `split` makes ``train/cat/test``.
    """
    inside = [each.path for each in branch.full_folders]
    if branch.has_own_photos or not inside:
        return
    parts = [named for each in inside if (named := part_of(each.name))]
    holds_parts = part is None and (len(set(parts)) > 1 or len(parts) == len(inside))
    if holds_parts or _words(branch.path.name) & set(PART_WORDS):
        raise TrainingError(
            f"{branch.path} holds folders ({_names(inside)}): is it a class, a part, or the data "
            "set?",
            f"If it is the data set, give {branch.path}. If it is a part, call it train, valid or "
            "test. If it is a class, put its photos directly in it.",
        )


def _refuse_unknown_parts(root: _Branch) -> None:
    """Refuses folders that all hold the same folders, as ``tr`` and ``te`` do."""
    full = root.full_folders
    names = [{inner.path.name for inner in each.full_folders} for each in full]
    if len(full) < 2 or any(each.has_own_photos for each in full):
        return
    if len(common := set.intersection(*names)) >= 2:
        raise TrainingError(
            f"{_names(each.path for each in full)} in {root.path} all hold the folders "
            f"{', '.join(sorted(common)[:5])}: are they parts or classes?",
            "Call parts train, valid and test. Put the photos of a class directly in its folder.",
        )


def _refuse_name(path: Path) -> None:
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise TrainingError(
            f"{path} has a name that is not UTF-8, and a label must be.", "Rename the folder."
        ) from None


def _refuse_same_labels(folders: Iterable[ClassFolder]) -> None:
    """Refuses labels that may be one class or two.

    ``BMW`` beside ``bmw`` are two classes. ``train/BMW`` and ``test/bmw`` may be one, and
    ``001.Pug`` beside ``Pug`` too.
    """
    alike: dict[str, list[ClassFolder]] = defaultdict(list)
    for each in folders:
        alike[each.label.lower()].append(each)
    for label, these in alike.items():
        if not _is_clear(these):
            paths = sorted({each.name: each.path for each in these}.values())
            raise TrainingError(
                f"{paths[0]} and {paths[1]} are both {label}.",
                "Give them one name in every part, or move their photos into one folder.",
            )


def _is_clear(folders: Sequence[ClassFolder]) -> bool:
    """Whether folders of one label in lower case are one class, or clearly several."""
    in_part: dict[str | None, set[str]] = defaultdict(set)
    for each in folders:
        in_part[each.part].add(each.name)
    if len({each.label for each in folders}) == 1:
        return all(len(names) == 1 for names in in_part.values())
    names = {each.name for each in folders}
    return names == {each.label for each in folders} and names in in_part.values()


def _refuse_too_few(root: _Branch, classes: Sequence[ClassFolder]) -> None:
    count = len({each.label for each in classes})
    if count >= 2:
        return
    next_step = "Lay it out as class/photo, or as train/class/photo and valid/class/photo."
    full = root.full_folders
    if len(full) == 1 and len(full[0].full_folders) >= 2:
        next_step = f"If the classes are in {full[0].path}, give that folder."
    elif root.has_own_photos:
        next_step = f"Sort its photos into one folder per class. {next_step}"
    raise TrainingError(
        f"{root.path} holds {count} classes with photos; at least two are needed.", next_step
    )


def _names(paths: Iterable[Path], most: int = 5) -> str:
    names = [each.name for each in paths]
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")
