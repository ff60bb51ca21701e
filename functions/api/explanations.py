"""Where the model looked: its map for a row's likeliest label, and its place on the photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from api.answers import ApiProblem
from api.thumbnails import refuse_hidden
from imaging import ImageSpec, Prepared, Rejection
from imaging.geometry import frame
from imaging.pixel_encoding import NPY
from pipeline.answers import Explanation
from pipeline.classify_images import Images
from pipeline.errors import SpecMismatchError
from pipeline.records import Record, ref_to_read

AS_DISPLAYED = 1  # the EXIF orientation of a photo that is stored as it is displayed
# Smaller differences are invisible in a map.
DIGITS = 6


class ExplainingEndpoint(Protocol):
    """The model in use, which can show where it looked."""

    def explain(self, body: bytes, spec: ImageSpec, label: str) -> Explanation: ...


@dataclass(frozen=True, slots=True)
class Explanations:
    """The adapters of an explanation.

    Attributes:
        spec: the deployed model's; replaced when another model answers.
        images_bucket: the stack's own bucket, which keeps versions.
    """

    images: Images
    prepare: Callable[[bytes, ImageSpec], Prepared | Rejection]
    endpoint: ExplainingEndpoint
    spec: ImageSpec
    images_bucket: str

    def of(self, record: Record) -> dict[str, Any]:
        """Returns the API's answer: the map in 0..1, and the box of the model's crop.

        For an image without one of the model's labels, the most probable of these is explained.

        Raises:
            ApiProblem: there is nothing to explain, or the model that answered is not there.
            NoExplanationError: the model that answers was packaged before models had maps.
            TransientError: a service is busy or did not answer.
            DecoderError: the decoder's process ended through no fault of the image.
        """
        refuse_hidden(record)
        ref = ref_to_read(record, record.version, self.images_bucket)
        data = self.images.read(ref)
        if data is None:
            raise ApiProblem(HTTPStatus.NOT_FOUND, "this version of the image is gone")
        label = record.predictions[0].label
        found, prepared, spec = self._asked(data, label)
        if found.model != record.model:
            detail = f"{record.model} gave this answer, and {found.model} answers now"
            raise ApiProblem(HTTPStatus.NOT_FOUND, detail)
        box = box_on_photo(prepared.width, prepared.height, spec)
        shown = shares(found.positions)
        return {"map": shown, "box": box, "label": label, "method": found.method}

    def _asked(
        self, data: bytes | Rejection, label: str
    ) -> tuple[Explanation, Prepared, ImageSpec]:
        prepared = self._prepared(data, self.spec)
        try:
            found = self.endpoint.explain(NPY.pack([prepared.pixels], self.spec), self.spec, label)
        except SpecMismatchError as mismatch:
            spec = mismatch.expected
            prepared = self._prepared(data, spec)
            found = self.endpoint.explain(NPY.pack([prepared.pixels], spec), spec, label)
            return found, prepared, spec
        return found, prepared, self.spec

    def _prepared(self, data: bytes | Rejection, spec: ImageSpec) -> Prepared:
        prepared = data if isinstance(data, Rejection) else self.prepare(data, spec)
        if isinstance(prepared, Rejection):
            detail = f"the image cannot be shown to the model: {prepared.reason}"
            raise ApiProblem(HTTPStatus.NOT_FOUND, detail)
        return prepared


def shares(positions: Sequence[Sequence[float]]) -> list[list[float]]:
    """Returns how much each position speaks for the label, relative to the strongest, 0..1.

    Positions that speak against it are 0: a map for people shows one of the two.
    """
    strongest = max((value for row in positions for value in row), default=0.0)
    if strongest <= 0:
        return [[0.0 for _ in row] for row in positions]
    return [[round(max(0.0, value) / strongest, DIGITS) for value in row] for row in positions]


def box_on_photo(width: int, height: int, spec: ImageSpec) -> dict[str, float]:
    """Returns the part of a photo that the model saw, as fractions 0..1 of its displayed sides.

    Args:
        width, height: of the photo as it is displayed, pixels.
    """
    left, top, right, bottom = frame((width, height), AS_DISPLAYED, spec).box
    sides = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return {name: round(value, DIGITS) for name, value in sides.items()}
