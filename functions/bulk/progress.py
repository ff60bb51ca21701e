"""The progress of a bulk run, counted from the files that its steps have written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bulk.run import BulkRun, RunFiles
from bulk.work_bucket import WorkBucket
from pipeline.adapters.service_errors import translate_errors


class Phase(StrEnum):
    STARTING = "starting"
    LISTING = "listing"
    PREPARING = "preparing"
    TRANSFORMING = "transforming"
    RECORDING = "recording"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Numbers of images; ``to_transform`` counts retried images again.

    ``at_least`` says that counting stopped early: there may be more of each.
    """

    phase: Phase = Phase.STARTING
    round: int = 0
    listed: int = 0
    prepared: int = 0
    to_transform: int = 0
    transformed: int = 0
    recorded: int = 0
    at_least: bool = False


@dataclass(slots=True)
class ProgressReader:
    """Reads the progress of one run from the work bucket.

    Attributes:
        most_pages: after how many pages of 1,000 files a reading stops counting; None for never.
    """

    s3: Any
    work: WorkBucket
    run: str
    most_pages: int | None = None
    _settings: BulkRun | None = None  # of run.json, which never changes
    _pages: int = 0  # of this reading
    _is_cut: bool = False

    def read(self) -> Progress:
        """Counts the progress of the run now.

        Raises:
            TransientError: S3 is busy or did not answer.
        """
        self._pages, self._is_cut = 0, False
        files = RunFiles(self.run)
        if self._settings is None:
            written = self.work.read_json(files.run_json)
            if written is None:
                return Progress()
            self._settings = BulkRun.from_json(written)
        settings = self._settings
        listing = self.work.read_json(files.listing_json)
        # Chunks of the first round hold every image once; later chunks are named ROUND-NUMBER.
        every_chunk = self._names(files.listing(""))
        chunks = {name for name in every_chunk if "-" not in name}
        # A chunk is full unless the listing, or its function's time, ended with it. Counting the
        # lines of 100,000 chunks would take longer than the run.
        listed = listing["listed"] if listing else len(chunks) * settings.chunk_images

        def images_of(finished: set[str]) -> int:
            done = len(finished & chunks)
            is_whole = done == len(chunks) and not self._is_cut
            return listed if is_whole else min(done * settings.chunk_images, listed)

        prepared = self._names(files.prepared(""))
        recorded = self._names(files.recorded(""))
        shards = self._shards(files, settings.image_spec.image_bytes)
        outputs = [key.removesuffix(".out") for key in self._keys(files.outputs)]
        round_ = int(chunks != every_chunk)
        report = self.work.read_json(files.report_json)
        if report is not None and report["status"] == "COMPLETE":  # its shards are deleted
            to_transform = transformed = report["classified"]
        elif settings.direct:
            to_transform, transformed = images_of(prepared), len(outputs)
        else:
            to_transform = sum(shards.values())
            transformed = sum(shards.get(name, 0) for name in outputs)
        begun = sum(
            images for name, images in shards.items() if name.rsplit("-", 2)[0] not in prepared
        )
        return Progress(
            phase=Phase.FINISHED
            if report is not None
            else self._phase(
                settings, round_, chunks if round_ == 0 else every_chunk - chunks, recorded
            )
            if listing
            else Phase.LISTING,
            round=round_,
            listed=listed,
            prepared=min(images_of(prepared) + begun, listed) if chunks else 0,
            to_transform=to_transform,
            transformed=transformed,
            recorded=images_of(recorded) if chunks else 0,
            at_least=self._is_cut,
        )

    def _phase(self, settings: BulkRun, round_: int, chunks: set[str], recorded: set[str]) -> Phase:
        """Returns the step of the round's last wave; the other waves are ahead of it."""
        waves = settings.waves(len(chunks), round_)
        if not waves or not self.work.exists(settings.files.manifest(round_, len(waves) - 1)):
            return Phase.PREPARING
        # Chunks are recorded only after their wave's whole job.
        is_recording = recorded.intersection(sorted(chunks)[waves[-1]])
        return Phase.RECORDING if is_recording else Phase.TRANSFORMING

    def _shards(self, files: RunFiles, image_bytes: int) -> dict[str, int]:
        """Counts images by shard; the division ignores the npy header, which is below one image."""
        return {
            key: size_bytes // image_bytes
            for key, size_bytes in self._objects(files.shards)
            if key.endswith(".npy")
        }

    def _names(self, file: str) -> set[str]:
        """Returns the chunks that have a file in the folder of this one."""
        return {key.rpartition(".")[0] for key in self._keys(file[: file.rindex("/") + 1])}

    def _keys(self, folder: str) -> Iterator[str]:
        return (key for key, _ in self._objects(folder))

    def _objects(self, folder: str) -> Iterator[tuple[str, int]]:
        """Lists keys without the folder, and sizes in bytes."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.work.name, Prefix=folder
        )
        with translate_errors():
            for page in pages:
                if self._pages == self.most_pages:
                    self._is_cut = True
                    return
                self._pages += 1
                for each in page.get("Contents", ()):
                    yield each["Key"].removeprefix(folder), each["Size"]
