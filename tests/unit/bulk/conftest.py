"""A bulk run in one process: moto's S3 and DynamoDB, and a transform job that a test can spoil."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from moto import mock_aws

from bulk.comparison import rows_for
from bulk.delete_shards import delete_shards
from bulk.ledger import Entry
from bulk.list_images import Progress, list_images
from bulk.plan_transform import plan_transform
from bulk.prepare_chunk import PrepareChunk
from bulk.reconcile import reconcile
from bulk.record_chunk import RecordChunk
from bulk.run import BulkRun, RunFiles, is_last_round
from bulk.sources import image_source
from bulk.turns import turn
from bulk.work_bucket import WorkBucket
from imaging import prepare
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.records import Record
from tests.fakes import NPY_HEADER_BYTES, SPEC
from tests.moto_clients import client_of

MODEL = "dogs@1"
NOW = "2999-01-01T00:00:00.000Z"  # after everything that moto stamps
Spoil = Callable[[str, bytes], bytes | None]


def bulk_run(**changes: Any) -> BulkRun:
    return replace(
        BulkRun(
            name="trial",
            source={"kind": "folder", "bucket": "images", "prefix": "folder/"},
            again=False,
            direct=False,
            model=MODEL,
            sagemaker_model="Model-1",
            image_spec=SPEC,
            instance_type="ml.m5.xlarge",
            instance_count=1,
            max_concurrent_transforms=2,
            chunk_images=10,
            shard_images=4,
            started_at="2998-01-01T00:00:00.000Z",
        ),
        **changes,
    )


@dataclass
class Bulk:
    """The steps in the workflow's order, and a test's ways to disturb them."""

    s3: Any
    table: PredictionsTable
    run: BulkRun
    work: WorkBucket
    spoil: Spoil = lambda _name, answer: answer
    lost_chunks: set[tuple[str, str]] = field(default_factory=set)  # (step, chunk)
    transformed: list[str] = field(default_factory=list)

    @property
    def files(self) -> RunFiles:
        return self.run.files

    def put(self, key: str, body: bytes) -> str:
        return str(self.s3.put_object(Bucket="images", Key=key, Body=body)["VersionId"])

    def list(self) -> Progress:
        source = image_source(self.s3, self.run.source)
        progress = Progress()
        while not progress.done:  # one page a call: what has to survive between two calls does
            told = json.loads(json.dumps({"after": progress.after}))
            progress = list_images(
                source, self.work, self.run, replace(progress, **told), out_of_time=lambda: True
            )
        return progress

    def chunks(self, round_: int, of_wave: str | None = None) -> list[str]:
        names = self.work.read_json(of_wave or self.files.chunks(round_)) or []
        return [each["chunk"] for each in names]

    def prepare(self, round_: int = 0, of_wave: str | None = None) -> None:
        step = PrepareChunk(
            ImagesBucket(self.s3),
            prepare,
            rows_for(self.run, self.table),
            self.work,
            self.run,
            now=lambda: NOW,
            out_of_time=lambda: False,
        )
        for chunk in self.chunks(round_, of_wave):
            if ("prepare", chunk) not in self.lost_chunks:
                step.run(chunk, round_)

    def turn(self, round_: int = 0, number: int = 0, ended: Any = None) -> dict[str, Any]:
        state = {"round": round_, "turn": number, "ended": ended}
        return turn(self.work, self.run, state, concurrency=5)

    def plan(
        self, round_: int = 0, execution: str = "trial-1", wave: int | None = None
    ) -> dict[str, Any]:
        """Of a wave, or of the only one, which the first turn names."""
        if wave is None:
            self.turn(round_)
        return dict(plan_transform(self.work, self.run, round_, wave or 0, execution))

    def manifest(self, round_: int = 0, wave: int = 0) -> tuple[str, list[str]]:
        head, *names = self.work.read_json(self.files.manifest(round_, wave)) or [{}]
        return head["prefix"], names

    def transform(self, round_: int = 0, wave: int = 0) -> dict[str, Any]:
        """Answers each image with its first pixel as the label."""
        prefix, names = self.manifest(round_, wave)
        bucket, _, folder = prefix.removeprefix("s3://").partition("/")
        for name in names:
            body = self.s3.get_object(Bucket=bucket, Key=folder + name)["Body"].read()
            pixels = body[NPY_HEADER_BYTES:]
            starts = range(0, len(pixels), SPEC.image_bytes)
            answer = json.dumps([answer_of(str(pixels[start])) for start in starts]).encode()
            spoiled = self.spoil(name, answer)
            self.transformed.append(name)
            if spoiled is not None:
                self.work.write(self.files.output(name), spoiled, "application/json")
        return {"TransformJobName": f"job-{round_}-{wave}", "TransformJobStatus": "Completed"}

    def record(
        self,
        round_: int = 0,
        problem: dict[str, str] | None = None,
        of_wave: str | None = None,
    ) -> None:
        step = RecordChunk(rows_for(self.run, self.table), self.work, self.run, lambda: NOW)
        for chunk in self.chunks(round_, of_wave):
            if ("record", chunk) not in self.lost_chunks:
                step.run(chunk, round_, is_last=is_last_round(round_, problem))

    def reconcile(self, round_: int, job: dict[str, Any] | None) -> dict[str, Any]:
        """Of a round with one wave, and so one job."""
        self.turn(round_, 2, {"job": job, "problem": {}})
        return reconcile(self.work, self.run, lambda: NOW, round_)

    def delete_shards(self) -> bool:
        return delete_shards(self.work, self.files, out_of_time=lambda: False)

    def go(self, problem: dict[str, str] | None = None) -> dict[str, Any]:
        """The whole run; its report.

        Args:
            problem: why SageMaker makes no transform job, as Step Functions reports an error.
        """
        self.list()
        round_, next_ = 0, "prepare"
        while next_ == "prepare":
            ended, turn = None, self.turn(round_)
            while True:
                if turn["prepare"]["any"]:
                    self.prepare(round_, turn["prepare"]["chunks"])
                if turn["record"]["any"]:
                    self.record(round_, turn["record"]["problem"], turn["record"]["chunks"])
                ended = self._job(round_, turn["transform"], problem or {})
                if turn["last"]:
                    break
                turn = self.turn(round_, turn["turn"], ended)
            result = reconcile(self.work, self.run, lambda: NOW, round_)
            round_, next_ = result["round"], result["next"]
        if next_ == "complete":
            assert self.delete_shards()
        return self.report()

    def _job(self, round_: int, part: dict[str, Any], problem: dict[str, str]) -> dict[str, Any]:
        """A wave's job, as the state machine hands it to the next turn."""
        if not part["any"]:
            return {"job": {}, "problem": {}}
        plan = self.plan(round_, wave=part["wave"])
        if problem:
            name, status = plan["job_name"], "NotCreated"
            job = {"TransformJobName": name, "TransformJobStatus": status, "problem": problem}
        else:
            job = self.transform(round_, part["wave"]) if plan["objects"] else {}
        return {"job": job, "problem": problem}

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = self.work.read_json(self.files.report_json)
        return report

    def ledger(self) -> list[Entry]:
        """Every line that says how an image ended."""
        return [
            Entry.from_json({name: each for name, each in line.items() if name != "live"})
            for key in self.work.keys(self.files.ledgers)
            for line in self.work.read_lines(key)
            if line["fate"] != "resubmitted"
        ]

    def row(self, key: str) -> Record | None:
        return self.table.get(f"s3://images/{key}")


def answer_of(label: str, model: str = MODEL) -> dict[str, Any]:
    return {
        "label": label,
        "confidence": 0.5,
        "predictions": [{"label": label, "confidence": 0.5}],
        "model": model,
    }


@pytest.fixture
def bulk() -> Iterator[Bulk]:
    with mock_aws():
        s3, dynamodb = client_of("s3"), client_of("dynamodb")
        for name in ("images", "work"):
            s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket="images", VersioningConfiguration={"Status": "Enabled"})
        dynamodb.create_table(
            TableName="predictions",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
        )
        table = PredictionsTable(dynamodb, "predictions")
        yield Bulk(s3, table, bulk_run(), WorkBucket(s3, "work"))
