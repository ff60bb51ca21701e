"""The cheapest configuration whose 99th percentile meets a deadline, found by simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
from imagedrop.estimates.stack import QUEUE_SECONDS
from imagedrop.growth.bulk import simulate_bulk
from imagedrop.growth.drop import simulate
from imagedrop.growth.figures import Figures
from imagedrop.growth.limits import INSTANCE, SERVERLESS, Limit, Load, Stack, limits

CONCURRENCIES = (5, 10, 20, 40, 80, 120, 160, 200)  # of those that the template allows
# Forty batches at once keep four instances busy.
CONCURRENCIES_ON_INSTANCES = (5, 10, 20, 40)
INSTANCE_COUNTS = (1, 2, 4, 8, 12, 16, 20, 30, 40, 60, 80, 100)  # a transform job takes 100
CHUNK_IMAGES = (1_000, 10_000)
MOST_CHUNKS = 80_000  # the answers of a Map's children stay below 256 KB
PERCENT = 99
# What a configuration needs more than this is asked of Service Quotas; a new account's, as far as
# AWS or public reports say them.
NEW_ACCOUNT_EXECUTIONS = 10
NEW_ACCOUNT_CALLS = 10
DEFAULT_CONCURRENCY = Stack().classify_concurrency


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota of the account that a plan needs, by the name and code of Service Quotas."""

    name: str
    code: str
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A configuration, and what it does with the images.

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


def plan_drop(load: Load, deadline_seconds: float | None, figures: Figures) -> Plan:
    """Returns the cheapest stack by which 99 of 100 images have their row in time.

    Raises:
        UserError: no stack that the template allows does; it says what limits the fastest.
    """
    found = []
    for stack in _stacks(SERVERLESS, CONCURRENCIES):
        if _may_be_in_time(load, stack, deadline_seconds, figures):
            found.append(drop_with(load, stack, figures))
            # More environments cost more: each starts and waits.
            if _is_in_time(found[-1], deadline_seconds):
                break
    for stack in _stacks(INSTANCE, CONCURRENCIES_ON_INSTANCES):
        if _may_be_in_time(load, stack, deadline_seconds, figures):
            found.append(drop_with(load, stack, figures))
    if not found:
        found = [drop_with(load, _stacks(SERVERLESS, CONCURRENCIES)[-1], figures)]
    return _cheapest(found, deadline_seconds, load.images)


def _stacks(capacity: str, concurrencies: Sequence[int]) -> list[Stack]:
    return [Stack(classify_concurrency=each, endpoint_capacity=capacity) for each in concurrencies]


def _may_be_in_time(
    load: Load, stack: Stack, deadline_seconds: float | None, figures: Figures
) -> bool:
    """Returns False where arithmetic alone shows that the last images wait for too long."""
    if deadline_seconds is None:
        return True
    lowest = limits(load, stack, figures)[0].images_per_second
    seconds_an_image = 1 / lowest
    if load.images_per_second:
        seconds_an_image -= 1 / load.images_per_second
    return load.images * PERCENT / 100 * seconds_an_image <= deadline_seconds


def drop_with(load: Load, stack: Stack, figures: Figures) -> Plan:
    """Returns what one stack does with a load."""
    outcome = simulate(load, stack, figures)
    used = outcome.usage
    if not stack.is_serverless:
        paid_seconds = max(used.instance_seconds, figures.instance_least_seconds)
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


def plan_bulk(load: Load, deadline_seconds: float | None, figures: Figures) -> Plan:
    """Returns the cheapest run that ends in time; it starts when the last image is there.

    Raises:
        UserError: no run that AWS takes does; it says what limits the fastest.
    """
    arriving_seconds = load.images / load.images_per_second if load.images_per_second else 0.0
    candidates = []
    for settings in _runs(load.images):
        for concurrency in CONCURRENCIES:
            sizing = size_run(load.images, settings, lambda_concurrency=concurrency)
            # A cent is not worth more functions or machines.
            price = round(sizing.dollars, 2)
            candidates.append((price, concurrency, settings.instance_count, settings, sizing))
    if not candidates:
        raise UserError(
            f"{load.images:,} images are more than one bulk run takes: {MOST_CHUNKS:,} chunks of "
            f"{CHUNK_IMAGES[-1]:,}.",
            "Plan and start a run for each of several folders.",
        )
    candidates.sort(key=lambda each: each[:3])
    found = []
    if deadline_seconds is not None:
        waits = deadline_seconds - arriving_seconds
        in_time = [each for each in candidates if each[-1].seconds <= waits]
        candidates = in_time or [min(candidates, key=lambda each: each[-1].seconds)]
    for _, concurrency, _, settings, sizing in candidates:
        run = bulk_with(sizing, settings, concurrency, figures)
        seconds = arriving_seconds + run.seconds
        found.append(replace(run, seconds=seconds, p99_seconds=seconds))
        if _is_in_time(found[-1], deadline_seconds):
            break
    return _cheapest(found, deadline_seconds, load.images)


def bulk_with(sizing: Sizing, settings: RunSettings, concurrency: int, figures: Figures) -> Plan:
    """Returns what one run does, from its start on."""
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
        limit=_slowest(outcome.slowest_phase, sizing.images / outcome.seconds),
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


def _slowest(phase: str, images_per_second: float) -> Limit:
    remedies = {
        "transform": "Raise --instance-count and the quota “ml.c5.xlarge for transform job usage” "
        "(L-09C9B23C).",
        "prepare": "Raise ClassifyConcurrency (200 at most); S3 gives 5,500 reads a second.",
        "record": "Raise INDEX_PARTITIONS in functions/pipeline/table_items.py: "
        "one key of an index takes 1,000 writes a second.",
        "list": "Start a run for each of several folders: one function lists, page by page.",
        "delete": "Start a run for each of several folders: one function deletes.",
    }
    return Limit(phase, images_per_second, remedies.get(phase, "Start runs of several folders."))


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
    fastest = min(found, key=lambda each: (each.expired, each.p99_seconds))
    asked = " ".join(f"{each.name} ({each.code}): {each.needed}." for each in fastest.quotas)
    within = duration(deadline_seconds or QUEUE_SECONDS)
    raise UserError(
        f"No configuration gives 99 of 100 of {images:,} images their row within "
        f"{within} by {fastest.mode}. The fastest takes "
        f"{duration(fastest.p99_seconds)}; its limit is {fastest.limit.resource}, at "
        f"{fastest.limit.images_per_second:,.0f} images/s.",
        f"{fastest.limit.remedy} The quotas it needs: {asked}",
    )
