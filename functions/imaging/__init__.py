"""The shared image contract: a model's input, and how any file becomes it.

Training, the functions, the endpoint and bulk runs all import this package, so that no two of them
prepare an image differently. It needs only Pillow and the standard library; processes that leave
the decoding to `Decoder` import Pillow only to send pixels as WebP.
"""

from typing import TYPE_CHECKING, Any

from imaging.limits import DEFAULT_LIMITS, Limits
from imaging.npy import encode_npy
from imaging.outcome import Prepared, Rejection, RejectReason
from imaging.spec import ImageSpec

if TYPE_CHECKING:
    from imaging.preparation import prepare

__all__ = [
    "DEFAULT_LIMITS",
    "ImageSpec",
    "Limits",
    "Prepared",
    "RejectReason",
    "Rejection",
    "encode_npy",
    "prepare",
]


def __getattr__(name: str) -> Any:
    if name == "prepare":
        from imaging.preparation import prepare  # noqa: PLC0415 - it imports Pillow

        return prepare
    raise AttributeError(name)
