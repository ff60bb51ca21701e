"""The use of AWS's services by dropped images, from full batches or from a simulation."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(slots=True, kw_only=True)
class DropUsage:
    """The use of the function, of the endpoint and of what depends on the number of images.

    Attributes:
        capacity: the template's EndpointCapacity: MB of a serverless endpoint, or an instance type.
        function_seconds: of ClassifyFunction, waiting for the endpoint included.
        answer_seconds: of the endpoint's calls, as a serverless one charges them.
        instance_seconds: of all instances together; 0 for a serverless endpoint.
    """

    images: float = 0
    batches: float = 0
    function_seconds: float = 0.0
    answer_seconds: float = 0.0
    instance_seconds: float = 0.0
    capacity: str = ""

    def plus(self, other: DropUsage, times: float = 1.0) -> DropUsage:
        """Returns the sum of both, the other one so many times; the capacity is this one's."""
        sums = {
            each.name: getattr(self, each.name) + times * getattr(other, each.name)
            for each in fields(self)
            if each.name != "capacity"
        }
        return replace(self, **sums)
