"""Stand-ins for the pipeline's adapters, and the smallest images and specs that do."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from PIL import Image

from imaging import ImageSpec, Rejection, prepare
from imaging.pixel_encoding import NPY, PixelEncoding
from pipeline.answers import Answer, Prediction
from pipeline.classify_images import ClassifyImages
from pipeline.errors import SpecMismatchError, TransientError
from pipeline.events import Change, ImageRef
from pipeline.records import Record

SPEC = ImageSpec(
    size=8,
    resize=8,
    crop="center",
    interpolation="bilinear",
    mean=(127.0, 127.0, 127.0),
    std=(128.0, 128.0, 128.0),
    layout="NHWC",
)
NPY_HEADER_BYTES = 128


def jpeg(shade: int = 0) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, shade, shade)).save(data, "JPEG")
    return data.getvalue()


def image_ref(name: str, sequencer: str = "01", version: str = "v1") -> ImageRef:
    return ImageRef(
        "bucket", f"incoming/{name}", version, True, sequencer, 10, "then", Change.CREATED
    )


@dataclass
class FakeImages:
    objects: dict[str, bytes | Rejection | Exception | None]

    def read(self, ref: ImageRef) -> bytes | Rejection | None:
        found = self.objects[ref.key.removeprefix("incoming/")]
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class FakeEndpoint:
    """Answers each image with its first pixel as the label."""

    spec: ImageSpec = SPEC
    failures: list[Exception] = field(default_factory=list)
    calls: list[tuple[str, int]] = field(default_factory=list)

    def classify(
        self, body: bytes, spec: ImageSpec, image_count: int, encoding: PixelEncoding = NPY
    ) -> list[Answer]:
        self.calls.append((spec.hash, image_count))
        if self.failures:
            raise self.failures.pop(0)
        if spec != self.spec:
            raise SpecMismatchError(self.spec)
        pixels = body[NPY_HEADER_BYTES:]
        assert len(pixels) == image_count * spec.image_bytes
        labels = [str(pixels[index * spec.image_bytes]) for index in range(image_count)]
        return [Answer(each, 0.5, (Prediction(each, 0.5),), "dogs@1") for each in labels]


@dataclass
class FakePredictions:
    rows: dict[str, Record] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    order: list[str] = field(default_factory=list)

    def write(self, record: Record, ref: ImageRef) -> bool:
        if ref.key in self.failing:
            raise TransientError("ThrottlingException", "slow down")
        self.order.append(f"{record.status} {ref.key}")
        new = self.rows.get(record.key) != record
        self.rows[record.key] = record
        return new


def use_case_over(
    objects: dict[str, bytes | Rejection | Exception | None],
    endpoint: FakeEndpoint | None = None,
    max_images: int = 25,
) -> ClassifyImages:
    return ClassifyImages(
        images=FakeImages(objects),
        prepare=prepare,
        endpoint=endpoint or FakeEndpoint(),
        predictions=FakePredictions(),
        spec=SPEC,
        encoding=NPY,
        max_payload_bytes=NPY_HEADER_BYTES + max_images * SPEC.image_bytes,
        now=lambda: "2026-11-29T12:00:00.000Z",
    )
