"""One bulk run: its settings, its model, and the names of its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from imaging import ImageSpec
from pipeline.events import NO_SEQUENCER, Change, ImageRef

# Images that failed in the first round are retried once; those that fail twice are reported.
LAST_ROUND = 1
# Step Functions' name of the error if a quota forbids the transform job, as it would in a second
# round.
OVER_A_LIMIT = "SageMaker.ResourceLimitExceededException"
# Of each instance. A job starts in minutes, which are paid for: a much smaller one would start for
# longer than it works. docs/decisions/bulk.md has the sums.
WAVE_IMAGES = 250_000
# A turn has some 40 events of an execution's history, which ends at 25,000:
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MOST_WAVES = 400
# Fewer than in the first round: too many may have made a function run out of time.
RESUBMITTED_CHUNK_IMAGES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRun:
    """``run.json``: written once, when the run begins, and read by every step.

    Attributes:
        name: of the run, as `imagedrop bulk start` prints it; ``run`` in JSON.
        source: the images (``bulk.sources.image_source``).
        again: also classify images that this model has classified already.
        direct: send the files as they are, one per request.
        model: the model's name in the records (``name@version``).
        sagemaker_model: its name in SageMaker.
        image_spec: of the images that it expects.
        instance_type, instance_count: the machines of the transform job.
        max_concurrent_transforms: requests at once to each machine.
        chunk_images: images per function call.
        shard_images: images per request of the transform job.
        wave_images: images of each instance of a transform job; the next job's are prepared
            meanwhile.
        started_at: UTC, ISO 8601.
        compares: whether the answers are compared with those of the listed rows, and no row is
        changed.
        abstentions: with ``compares``, the labels by which either model says that it is none of
            its own.
    """

    name: str
    source: Mapping[str, Any]
    again: bool
    direct: bool
    model: str
    sagemaker_model: str
    image_spec: ImageSpec
    instance_type: str
    instance_count: int
    max_concurrent_transforms: int
    chunk_images: int
    shard_images: int
    wave_images: int = WAVE_IMAGES
    started_at: str
    compares: bool = False
    abstentions: Sequence[str] = ()

    @property
    def files(self) -> RunFiles:
        return RunFiles(self.name)

    def waves(self, chunks: int, round_: int) -> list[slice]:
        """Returns the parts of a round's chunks that have one transform job each."""
        chunk_images = self.chunk_images if round_ == 0 else RESUBMITTED_CHUNK_IMAGES
        size = max(1, self.wave_images * self.instance_count // chunk_images)
        size = max(size, -(-chunks // MOST_WAVES))
        return [slice(start, start + size) for start in range(0, chunks, size)]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BulkRun:
        """Reads ``run.json``.

        Raises:
            TypeError: a field is missing or unknown.
            ValueError: the image spec is malformed.
        """
        fields = {name: each for name, each in value.items() if name != "run"}
        fields["image_spec"] = ImageSpec.from_json(value["image_spec"])
        return cls(name=value["run"], **fields)

    def to_json(self) -> dict[str, Any]:
        fields = asdict(self) | {"image_spec": self.image_spec.to_json()}
        return {"run": fields.pop("name"), **fields}


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Keys in the work bucket. A chunk is a thousand listed images, a shard 64 prepared ones."""

    run: str

    @property
    def root(self) -> str:
        return f"work/{self.run}/"

    @property
    def run_json(self) -> str:
        return f"{self.root}run.json"

    @property
    def shards(self) -> str:
        return f"{self.root}shards/"

    @property
    def outputs(self) -> str:
        return f"{self.root}out/"

    @property
    def ledgers(self) -> str:
        return f"{self.root}ledger/"

    @property
    def report_json(self) -> str:
        return f"reports/{self.run}/report.json"

    @property
    def rows(self) -> str:
        """Returns the key of the rows that a run of comparison is about, as lines of a listing."""
        return f"{self.root}rows.jsonl"

    def listing(self, chunk: str) -> str:
        return f"{self.root}listing/{chunk}.jsonl"

    @property
    def listing_json(self) -> str:
        return f"{self.root}listing.json"

    @property
    def ignored_names(self) -> str:
        return f"{self.root}ignored/"

    def ignored(self, number: int) -> str:
        return f"{self.ignored_names}{number:06}.jsonl"

    def chunks(self, round_: int) -> str:
        return f"{self.root}chunks-{round_}.json"

    def wave(self, round_: int, wave: int) -> str:
        """Returns the key of the names of a wave's chunks."""
        return f"{self.root}waves/{round_}-{wave:04}.json"

    def job(self, round_: int, wave: int) -> str:
        """Returns the key of a wave's transform job, as SageMaker describes it at its end."""
        return f"{self.root}jobs/{round_}-{wave:04}.json"

    def prepared(self, chunk: str) -> str:
        return f"{self.root}prepared/{chunk}.json"

    def shard(self, name: str) -> str:
        return f"{self.shards}{name}.npy"

    def shard_rows(self, name: str) -> str:
        return f"{self.shards}{name}.jsonl"

    def direct(self, chunk: str) -> str:
        return f"{self.root}direct/{chunk}.jsonl"

    def manifest(self, round_: int, wave: int) -> str:
        return f"{self.root}manifests/{round_}-{wave:04}.json"

    def output(self, name: str) -> str:
        """Returns the key of Batch Transform's answer to a shard or, in a direct run, an image."""
        return f"{self.outputs}{name}.out"

    def recorded(self, chunk: str) -> str:
        return f"{self.root}recorded/{chunk}.json"

    def compared(self, chunk: str) -> str:
        return f"{self.root}compared/{chunk}.json"

    def resubmitted(self, chunk: str) -> str:
        return f"{self.root}resubmitted/{chunk}.jsonl"

    def ledger(self, chunk: str) -> str:
        return f"{self.ledgers}{chunk}.jsonl"

    def round_sums(self, round_: int) -> str:
        return f"{self.root}round-{round_}.json"


def is_last_round(round_: int, problem: Mapping[str, Any] | None) -> bool:
    """Returns whether images that fail in this round are not retried.

    Args:
        problem: why SageMaker made no transform job, as Step Functions reports an error.
    """
    return round_ >= LAST_ROUND or (problem or {}).get("Error") == OVER_A_LIMIT


def chunk_name(number: int, round_: int = 0) -> str:
    """Returns a chunk's name, zero-padded so that S3 lists chunks in order, by round first."""
    return f"{number:06}" if round_ == 0 else f"{round_}-{number:06}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a listing: the current version of one object.

    ``version`` is None if the source does not state it (a list of keys, an inventory without
    versions); it is looked up when the chunk is prepared. ``live`` is the row's answer
    (``bulk.comparison.LiveAnswer``) in a run of comparison.
    """

    bucket: str
    key: str
    version: str | None = None
    versioned: bool = True
    size_bytes: int = 0
    last_modified: str = ""
    live: Mapping[str, Any] | None = None

    @classmethod
    def from_ref(cls, ref: ImageRef) -> Listed:
        return cls(ref.bucket, ref.key, ref.version, ref.versioned, ref.size_bytes, ref.received_at)

    def to_ref(self) -> ImageRef:
        """Returns the listed version as a reference.

        Raises:
            ValueError: the version is not known yet.
        """
        if self.version is None:
            raise ValueError(f"the version of s3://{self.bucket}/{self.key} is not known")
        return ImageRef(
            bucket=self.bucket,
            key=self.key,
            version=self.version,
            versioned=self.versioned,
            sequencer=NO_SEQUENCER,
            size_bytes=self.size_bytes,
            received_at=self.last_modified,
            change=Change.CREATED,
        )

    def to_json(self) -> dict[str, Any]:
        # Not asdict(), which copies each value deeply: a step writes a chunk of these lines.
        line = {name: getattr(self, name) for name in _LISTED_NAMES}
        return line if self.live is None else line | {"live": dict(self.live)}


_LISTED_NAMES = tuple(each.name for each in fields(Listed) if each.name != "live")
