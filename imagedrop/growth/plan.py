"""The cheapest configuration whose 99th percentile meets a deadline, found by simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import ceil
from typing import TypeVar

from imagedrop.errors import UserError
from imagedrop.estimates.bulk_run import (
    RunSettings,
    Sizing,
    duration,
    overlong_steps,
    problems,
    size_run,
)
from imagedrop.estimates.month import Mode, usage_cost
from imagedrop.estimates.stack import BATCH_IMAGES, QUEUE_SECONDS
from imagedrop.estimates.usage import DropUsage
from imagedrop.growth.bulk import BulkOutcome, simulate_bulk
from imagedrop.growth.drop import simulate
from imagedrop.growth.figures import Figures
from imagedrop.growth.limits import (
    INSTANCE,
    SERVERLESS,
    Limit,
    Load,
    Stack,
    batch_seconds,
    limits,
    rows_per_second,
)

CONCURRENCIES = (5, 10, 20, 40, 80, 120, 160, 200)  # of those that the template allows
# Forty batches at once keep four instances busy.
CONCURRENCIES_ON_INSTANCES = (5, 10, 20, 40)
INSTANCE_COUNTS = (1, 2, 4, 8, 12, 16, 20, 30, 40, 60, 80, 100)  # a transform job takes 100
CHUNK_IMAGES = (1_000, 10_000)
MOST_CHUNKS = 80_000  # the answers of a Map's children stay below 256 KB
PERCENT = 99
# Quotas of a new account, by AWS or public reports. A configuration that needs more must request it
# from Service Quotas.
NEW_ACCOUNT_EXECUTIONS = 10
NEW_ACCOUNT_CALLS = 10
DEFAULT_CONCURRENCY = Stack().classify_concurrency
# A simulated run may be this much shorter than its arithmetic, where a last chunk is a short one.
SHORTEST = 0.9
LATER_SECONDS = 1e6  # a table has grown by then
NEARLY = 0.9  # of a service's limit: it is the limit

OnTry = Callable[[], None]
Tried = TypeVar("Tried")


def _no_news() -> None:
    """Ignores each simulation."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota of the account that a plan needs, by the name and code of Service Quotas."""

    name: str
    code: str
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A configuration, and its outcome for the images.

    Attributes:
        parameters: of the template, as in samconfig's parameter_overrides.
        options: of `imagedrop bulk start`; none for a drop.
        seconds: from the first image to the last row.
        p99_seconds: from an image's drop to its row; of a bulk run, which ends at once, all of it.
        expired: images whose messages SQS deletes after four days: a plan that loses none has 0.
        dollars: by item.
    """

    mode: Mode
    parameters: dict[str, str]
    options: tuple[str, ...] = ()
    seconds: float
    p99_seconds: float
    expired: int = 0
    dollars: dict[str, float]
    limit: Limit
    quotas: tuple[Quota, ...]

    @property
    def total_dollars(self) -> float:
        return round(sum(self.dollars.values()), 2)


def plan_drop(
    load: Load, deadline_seconds: float | None, figures: Figures, on_try: OnTry = _no_news
) -> Plan:
    """Returns the cheapest stack by which 99 of 100 images have their row in time.

    Args:
        on_try: called after each simulation.

    Raises:
        UserError: no stack that the template allows does; it says what limits the fastest.
    """
    stacks = [
        *_stacks(SERVERLESS, CONCURRENCIES),
        *_stacks(INSTANCE, CONCURRENCIES_ON_INSTANCES),
    ]
    found: dict[Stack, Plan] = {}

    def tried(stack: Stack) -> Plan:
        if stack not in found:
            found[stack] = drop_with(load, stack, figures)
            on_try()
        return found[stack]

    def least_seconds(stack: Stack) -> float:
        return _least_seconds(load, stack, figures)

    in_time: list[Plan] = []
    for stack in stacks:
        may_be = deadline_seconds is None or least_seconds(stack) <= deadline_seconds
        if may_be and all(_may_be_cheaper(load, stack, each, figures) for each in in_time):
            plan = tried(stack)
            in_time += [plan] if _is_in_time(plan, deadline_seconds) else []
    found_plans = in_time or [_fastest(stacks, lambda each: SHORTEST * least_seconds(each), tried)]
    return _cheapest(found_plans, deadline_seconds, load.images)


def _stacks(capacity: str, concurrencies: Sequence[int]) -> list[Stack]:
    return [Stack(classify_concurrency=each, endpoint_capacity=capacity) for each in concurrencies]


def _least_seconds(load: Load, stack: Stack, figures: Figures) -> float:
    """Returns the least time of 99 of 100 images, by arithmetic alone: starts and limits."""
    starts = figures.event_seconds + figures.function_start_seconds
    if stack.is_serverless:
        starts += figures.serverless_start_seconds
    lowest = limits(load, stack, figures)[0].images_per_second
    late_image = load.images * PERCENT / 100
    if load.images_per_second is None:
        return starts + late_image / min(lowest, load.arriving_per_second(figures))
    # The later an image comes, the longer the queue, or the shorter where the stack keeps up.
    waiting = late_image * (1 / lowest - 1 / load.images_per_second)
    return max(figures.event_seconds, starts + waiting)


def _may_be_cheaper(load: Load, stack: Stack, than: Plan, figures: Figures) -> bool:
    """Returns False where arithmetic alone shows that a stack costs more than a plan."""
    if stack.is_serverless:
        return False  # more environments than the plan's: each starts and waits
    batches = load.images / BATCH_IMAGES
    least = DropUsage(
        images=load.images,
        batches=batches,
        function_seconds=batches * batch_seconds(stack, figures),
        instance_seconds=figures.instance_least_seconds,
        capacity=stack.endpoint_capacity,
    )
    return round(sum(usage_cost(least).values()), 2) <= than.total_dollars


@cache
def drop_with(load: Load, stack: Stack, figures: Figures) -> Plan:
    """Returns the outcome of a load on one stack."""
    outcome = simulate(load, stack, figures)
    used = outcome.usage
    # An endpoint that is deployed for a drop stays for an hour or so, with each instance it has.
    idle_seconds = max(0.0, figures.instance_least_seconds - outcome.seconds)
    paid_seconds = used.instance_seconds + outcome.instances * idle_seconds
    used = replace(used, instance_seconds=paid_seconds)
    return Plan(
        mode=Mode.DROP,
        parameters={
            "ClassifyConcurrency": str(stack.classify_concurrency),
            "EndpointCapacity": stack.endpoint_capacity,
        },
        seconds=outcome.seconds,
        p99_seconds=outcome.percentile(PERCENT),
        expired=outcome.expired,
        dollars=usage_cost(used),
        limit=_arrivals(load, figures, limits(load, stack, figures)[0]),
        quotas=tuple(_drop_quotas(stack)),
    )


def _arrivals(load: Load, figures: Figures, lowest: Limit) -> Limit:
    """Returns the limit, or that images come more slowly than that."""
    rate = load.arriving_per_second(figures)
    if rate >= lowest.images_per_second:
        return lowest
    remedy = "Nothing waits." if load.images_per_second else "Drop into several folders."
    return Limit("images arriving", rate, remedy)


def _drop_quotas(stack: Stack) -> Iterator[Quota]:
    concurrency = stack.classify_concurrency
    if 2 * concurrency > NEW_ACCOUNT_EXECUTIONS:
        yield Quota("Lambda: Concurrent executions", "L-B99A9384", 2 * concurrency)
    if not stack.is_serverless:
        yield Quota(
            f"SageMaker: {stack.endpoint_capacity} for endpoint usage",
            "L-2F737F8D",
            stack.max_instances,
        )
    else:
        yield from _serverless_quota(concurrency)


def _serverless_quota(concurrency: int) -> Iterator[Quota]:
    """An update of the endpoint may count the old calls at once and the new ones."""
    if concurrency + DEFAULT_CONCURRENCY > NEW_ACCOUNT_CALLS:
        name = "SageMaker: calls at once of all serverless endpoints"
        yield Quota(name, "L-96300102", concurrency + DEFAULT_CONCURRENCY)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A bulk run that could be, and its times and sizes where nothing waits."""

    settings: RunSettings
    concurrency: int
    sizing: Sizing

    @property
    def order(self) -> tuple[float, int, int]:
        """The cheapest first; a cent is not worth more functions or machines."""
        return round(self.sizing.dollars, 2), self.concurrency, self.settings.instance_count


def plan_bulk(
    load: Load, deadline_seconds: float | None, figures: Figures, on_try: OnTry = _no_news
) -> Plan:
    """Returns the cheapest run that ends in time; it starts when the last image is there.

    Args:
        on_try: called after each simulation.

    Raises:
        UserError: no run that AWS takes does; it says what limits the fastest.
    """
    arriving_seconds = load.images / load.images_per_second if load.images_per_second else 0.0
    candidates = [
        _Candidate(settings, count, size_run(load.images, settings, lambda_concurrency=count))
        for settings in _runs(load.images)
        for count in CONCURRENCIES
    ]
    if not candidates:
        raise UserError(
            f"{load.images:,} images are more than one bulk run takes: {MOST_CHUNKS:,} chunks of "
            f"{CHUNK_IMAGES[-1]:,}.",
            "Split the images into several folders; plan and start a run for each.",
        )

    def tried(each: _Candidate) -> Plan:
        run = bulk_with(load.images, each.settings, each.concurrency, figures)
        on_try()
        seconds = arriving_seconds + run.seconds
        return replace(run, seconds=seconds, p99_seconds=seconds)

    for each in sorted(candidates, key=lambda each: each.order):
        shortest = arriving_seconds + SHORTEST * each.sizing.seconds
        if deadline_seconds is None or shortest <= deadline_seconds:
            plan = tried(each)
            if _is_in_time(plan, deadline_seconds):
                return plan
    fastest = _fastest(
        sorted(candidates, key=lambda each: each.order),
        lambda each: arriving_seconds + SHORTEST * each.sizing.seconds,
        tried,
    )
    return _cheapest([fastest], deadline_seconds, load.images)


def _fastest(
    candidates: Iterable[Tried],
    least_seconds: Callable[[Tried], float],
    tried: Callable[[Tried], Plan],
) -> Plan:
    """Simulates the quickest by arithmetic first, until no other can be quicker."""
    found: list[Plan] = []
    for each in sorted(candidates, key=least_seconds):
        if any(least_seconds(each) >= plan.p99_seconds for plan in found if not plan.expired):
            break
        found.append(tried(each))
    return min(found, key=_lateness)


def _lateness(plan: Plan) -> tuple[int, float]:
    return plan.expired, plan.p99_seconds


@cache
def bulk_with(images: int, settings: RunSettings, concurrency: int, figures: Figures) -> Plan:
    """Returns the outcome of one run, from its start on."""
    sizing = size_run(images, settings, lambda_concurrency=concurrency)
    outcome = simulate_bulk(sizing, settings, concurrency, figures)
    return Plan(
        mode=Mode.BULK,
        parameters={"ClassifyConcurrency": str(concurrency)},
        options=(
            f"--instance-count {settings.instance_count}",
            f"--chunk-images {settings.chunk_images}",
        ),
        seconds=outcome.seconds,
        p99_seconds=outcome.seconds,
        dollars=sizing.cost_dollars,
        limit=_slowest(outcome, concurrency, figures),
        quotas=tuple(_bulk_quotas(settings, concurrency)),
    )


def _runs(images: int) -> Iterator[RunSettings]:
    for chunk_images in CHUNK_IMAGES:
        one = RunSettings(chunk_images=chunk_images)
        chunks = -(-images // chunk_images)
        if (
            chunks <= MOST_CHUNKS
            and not problems(one)
            and not overlong_steps(size_run(images, one))
        ):
            yield from (replace(one, instance_count=count) for count in INSTANCE_COUNTS)


def _slowest(outcome: BulkOutcome, concurrency: int, figures: Figures) -> Limit:
    """Returns the phase that runs longest, its rate, and what to raise."""
    phase = outcome.slowest_phase
    rate = outcome.images_per_second(phase)
    more_functions = f"Raise ClassifyConcurrency ({CONCURRENCIES[-1]} at most)."
    several = "Start a run for each of several folders"
    remedies = {
        "transform": "Raise --instance-count and the quota “ml.c5.xlarge for transform job usage” "
        "(L-09C9B23C).",
        "prepare": more_functions,
        "record": more_functions,
        "list": f"{several}: one function lists, page by page.",
        "delete": f"{several}: one function deletes.",
    }
    remedy = remedies.get(phase, f"{several}.")
    if phase == "record" and rate > NEARLY * rows_per_second(LATER_SECONDS, figures):
        remedy = (
            "Raise INDEX_PARTITIONS in functions/pipeline/table_items.py: one key of an index "
            "takes 1,000 writes a second."
        )
    elif remedy == more_functions and concurrency >= CONCURRENCIES[-1]:
        remedy = f"{several}, in a stack for each: one has {concurrency} functions at most."
    return Limit(phase, rate, remedy)


def _bulk_quotas(settings: RunSettings, concurrency: int) -> Iterator[Quota]:
    if 2 * concurrency > NEW_ACCOUNT_EXECUTIONS:
        yield Quota("Lambda: Concurrent executions", "L-B99A9384", 2 * concurrency)
    # The template gives the serverless endpoint as many calls at once as the function.
    yield from _serverless_quota(concurrency)
    yield Quota(
        f"SageMaker: {settings.instance_type} for transform job usage",
        "L-09C9B23C",
        settings.instance_count,
    )


def _is_in_time(plan: Plan, deadline_seconds: float | None) -> bool:
    in_time = deadline_seconds is None or plan.p99_seconds <= deadline_seconds
    return in_time and not plan.expired


def _cheapest(found: list[Plan], deadline_seconds: float | None, images: int) -> Plan:
    if in_time := [each for each in found if _is_in_time(each, deadline_seconds)]:
        return min(in_time, key=lambda each: (each.total_dollars, len(each.quotas)))
    fastest = min(found, key=_lateness)
    limit = fastest.limit
    within = duration(deadline_seconds or QUEUE_SECONDS)
    asked = "; ".join(f"{each.name} ({each.code}): {each.needed}" for each in fastest.quotas)
    raise UserError(
        f"No configuration gives 99 of 100 of {images:,} images their row within "
        f"{within} by {fastest.mode}. The fastest takes {duration(fastest.p99_seconds)}; its limit "
        f"is {limit.resource}, at {limit.images_per_second:,.0f} images/s.",
        f"Allow it more time: --deadline {_deadline(fastest.p99_seconds)}. Or go beyond the "
        f"limits of this plan: {limit.remedy}"
        + (f" The quotas it needs: {asked}." if asked else ""),
    )


def _deadline(seconds: float) -> str:
    """Returns the shortest value of --deadline that is long enough, in whole units."""
    for unit, length in (("s", 1), ("min", 60), ("h", 3_600)):
        if seconds <= 100 * length or unit == "h":
            return f"{ceil(seconds / length)}{unit}"
    raise AssertionError
