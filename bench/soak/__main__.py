"""Floods the pipeline under faults, kills and restarts, then accounts for every image by name.

    .venv/bin/python -m bench.soak [--images 2000] [--minutes 9] [--seed 1]

The deployed template runs as always, but for four settings of this run alone: the function's
calls go through proxies that answer some of them as AWS does in trouble, with 1 MB at most in each
instead of 4; the queue's visibility timeout is 45 s instead of 540, so that the messages
of a killed worker return within the run; and the pauses after transient faults last minutes, not an
hour (`impatient_classify.py`).
Permissions are not enforced here, because a call through a proxy has a signature for another host;
tests/integration does that.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from bench.drop import PHOTOS, Function
from bench.soak.books import Writes, balance
from bench.soak.disturbance import SERVER, WORKER, Disturbance, Every, wait_until
from bench.soak.faults import AWS_RULES, SAGEMAKER_RULES, Proxy, proxies
from bench.soak.flood import Flood, add_unnoticed_versions
from bench.soak.report import Soak, recoveries, write_reports
from imagedrop.target import Target, local_target
from localcloud import cloud

VISIBILITY_SECONDS = 45
WORKER_KILLS, SERVER_KILLS, RESTARTS = 18, 4, 2
HANDLER_MODULE = "impatient_classify"
PROXY_BODY_BYTES = "1000000"  # the proxy takes bodies of 1 MiB: about 13 images a call
PROXIES = ("S3, DynamoDB, SQS", "endpoint")
FLOOD_SECONDS = 140.0  # about as long as the kills and restarts take
OUTPUT = Path("soak-output")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=2000, help="versions to drop, at least")
    parser.add_argument("--minutes", type=float, default=9, help="to wait at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--output-dir", type=Path, default=OUTPUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        try:
            running = cloud.up(home, on_step=say)
            with proxies(running, home) as pair:
                soak = run(home, running, pair, options)
        finally:
            cloud.down(home)
    report = write_reports(soak, options.output_dir)
    summary = soak.to_json()
    for name in (
        *("inputs", "classified", "rejected", "superseded_or_deleted", "dead_letters"),
        *("duplicate_factor", "events", "sent_again", "fault_shares", "latency_seconds"),
        *("recovery_seconds", "seconds"),
    ):
        say(f"{name}: {summary[name]}")
    for key, why in soak.books.wrong.items():
        say(f"WRONG {key}: {why}")
    say(f"Report: {report}")
    return 0 if soak.books.are_balanced else 1


def run(home: Path, running: cloud.Cloud, pair: tuple[Proxy, Proxy], options: Any) -> Soak:
    began, target = time.monotonic(), local_target(running)
    through(target, *pair)
    writes = Writes(target)
    photos = sorted(each for each in options.photos.rglob("*") if each.is_file())
    flood = Flood(target, photos, options.images, FLOOD_SECONDS, options.seed)
    choose = random.Random(options.seed)  # noqa: S311 - repeatable, not secret
    disturbance = Disturbance(running, target, choose)
    pair[0].set_rules(AWS_RULES)
    pair[1].set_rules(SAGEMAKER_RULES)
    sent_again, memory = [0], list[tuple[float, float]]()

    def look() -> None:
        writes.collect(target)
        memory.append((time.monotonic() - began, memory_mb(disturbance.running)))
        sent_again[0] += disturbance.send_again()

    looking = Every(5.0, look)
    flood.start()
    looking.start()
    disturb(home, disturbance, writes)
    flood.join()
    if flood.error is not None:
        raise flood.error
    say(f"{flood.inputs} versions dropped after {time.monotonic() - began:.0f} s")
    for proxy in pair:  # calm again: what waits comes back within the longest pause of a retry
        proxy.set_rules(())
    looking.enough.set()
    looking.join()
    left = options.minutes * 60 - (time.monotonic() - began)
    if not wait_until(lambda: waiting(target) == 0, max(left, 60.0)):
        say(f"{waiting(target)} messages still wait")
    add_unnoticed_versions(target, flood.truths)
    writes.collect(target)
    books = balance(target, flood.truths, writes)
    table = target.predictions_table()
    rows = table.get_many([f"s3://{target.images_bucket}/{key}" for key in flood.truths])
    return Soak(
        books=books,
        seconds=time.monotonic() - began,
        events=disturbance.events,
        faults={name: each.fired() for name, each in zip(PROXIES, pair, strict=True)},
        calls={name: each.calls() for name, each in zip(PROXIES, pair, strict=True)},
        sent_again=sent_again[0],
        table_writes=writes.count,
        recoveries_seconds=recoveries(
            disturbance.events, [each.classified_at for each in rows.values()]
        ),
        memory_mb=memory,
    )


def through(target: Target, aws: Proxy, sagemaker: Proxy) -> None:
    """Sends the function's calls through the proxies, and brings messages back sooner."""
    function = Function(target)
    function.add_to_bundle([Path(__file__).with_name(f"{HANDLER_MODULE}.py")])
    function.change(
        f"{HANDLER_MODULE}.handler",
        {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": sagemaker.url,
            "MAX_PAYLOAD_BYTES": PROXY_BODY_BYTES,
        },
    )
    target.client("sqs").set_queue_attributes(
        QueueUrl=target.outputs["ImagesQueueUrl"],
        Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)},
    )


def disturb(home: Path, disturbance: Disturbance, writes: Writes) -> None:
    """Kills and restarts, spread over the flood."""
    plan = [WORKER] * WORKER_KILLS + [SERVER] * SERVER_KILLS
    disturbance.choose.shuffle(plan)
    every = len(plan) // (RESTARTS + 1)
    for number, what in enumerate(plan):
        deadline = time.monotonic() + 20
        while not disturbance.kill(what) and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(disturbance.choose.uniform(2, 5))
        if number % every == every - 1 and number < every * RESTARTS:
            writes.collect(disturbance.target)
            cloud.down(home)
            disturbance.note("restart of the local cloud")
            disturbance.running = cloud.up(home, deploy=False)


def waiting(target: Target) -> int:
    """Messages of the images queue, those at work included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = target.client("sqs").get_queue_attributes(
        QueueUrl=target.outputs["ImagesQueueUrl"], AttributeNames=names
    )["Attributes"]
    return sum(int(found[name]) for name in names)


def memory_mb(running: cloud.Cloud) -> float:
    """Resident memory of everything the local cloud started."""
    total = 0
    for each in running.processes:
        try:
            root = psutil.Process(each.pid)
            for process in (root, *root.children(recursive=True)):
                total += process.memory_info().rss
        except psutil.NoSuchProcess:  # killed meanwhile
            continue
    return total / 1e6


def say(line: str) -> None:
    print(f"  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
