"""Requests are what SageMaker's own model allows, and say what was asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from tests.metric_lines import read_metric
from tests.unit.launch.jobs import (
    BAYESIAN,
    CLOSED,
    DEBUGGED,
    HYPERBAND,
    PLAIN,
    REQUESTS,
    TRIAL,
    golden_file,
)
from training.errors import TrainingError
from training.launch.places import shared_prefixes
from training.launch.training_job import TrainingJob, training_job_request
from training.launch.tuning_job import TuningJob, tuning_job_request
from training.tracking.metric_lines import NAMES, metric_line
from training.tuning.search import OBJECTIVE
from training.watch.observer import EpochMetrics


@pytest.fixture(scope="module")
def sagemaker() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")


@pytest.mark.parametrize("name", REQUESTS)
def test_request_is_valid_for_botocore(name: str, sagemaker: Any) -> None:
    operation, request = REQUESTS[name]
    shape = sagemaker.operation_model(operation).input_shape

    report = ParamValidator().validate(request(), shape)

    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("name", REQUESTS)
def test_request_is_the_one_in_its_golden_file(name: str) -> None:
    _, request = REQUESTS[name]

    golden = json.loads(golden_file(name).read_text(encoding="utf-8"))

    assert request() == golden, "if it is meant: python -m tests.unit.launch.jobs"


def test_code_is_named_by_the_toolkits_two_hyperparameters() -> None:
    training = training_job_request(PLAIN)["HyperParameters"]
    tuning = tuning_job_request(BAYESIAN)["TrainingJobDefinition"]["StaticHyperParameters"]

    for told in (training, tuning):
        assert json.loads(told["sagemaker_program"]) == "train.py"
        assert json.loads(told["sagemaker_submit_directory"]) == PLAIN.source_uri


def test_code_comes_as_a_channel_where_there_is_no_network() -> None:
    request = training_job_request(CLOSED)

    told = json.loads(request["HyperParameters"]["sagemaker_submit_directory"])
    assert told == f"/opt/ml/input/data/code/{CLOSED.source_uri.rpartition('/')[2]}"
    assert request["EnableNetworkIsolation"] is True
    uris = {
        each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"]
        for each in request["InputDataConfig"]
    }
    assert uris["code"] == CLOSED.source_uri
    assert uris["weights"].endswith("/resnet50.pth")
    assert uris["train"].endswith("/train/")


def test_hyperparameters_come_back_from_json_as_they_were() -> None:
    job = replace(PLAIN, hyperparameters={"version": "1", "epochs": 3, "lr": 0.1, "amp": True})

    told = training_job_request(job)["HyperParameters"]

    assert {name: json.loads(told[name]) for name in job.hyperparameters} == job.hyperparameters


def test_metrics_are_read_from_the_very_line_that_a_training_prints() -> None:
    line = metric_line(EpochMetrics(3, "head", 0.5, 0.4, 0.91, 0.99, 1.5))

    definitions = training_job_request(PLAIN)["AlgorithmSpecification"]["MetricDefinitions"]

    assert [each["Name"] for each in definitions] == list(NAMES)
    assert read_metric(line, OBJECTIVE) == 0.91


def test_debugger_asks_for_hook_rules_report_and_profile() -> None:
    request = training_job_request(DEBUGGED)

    collections = {
        each["CollectionName"]: each["CollectionParameters"]
        for each in request["DebugHookConfig"]["CollectionConfigurations"]
    }
    rules = {
        each["RuleConfigurationName"]: each["RuleParameters"]
        for each in request["DebugRuleConfigurations"]
    }
    assert collections["relu_input"]["include_regex"] == ".*relu_input"
    assert {"VanishingGradient", "PoorWeightInitialization"} == set(rules)
    assert all(parameters["rule_to_invoke"] == name for name, parameters in rules.items())
    assert request["ProfilerRuleConfigurations"][0]["RuleConfigurationName"] == "ProfilerReport"
    assert request["ProfilerConfig"]["ProfilingIntervalInMilliseconds"] > 0
    # AWS's newest images hold no smdebug: an older one has to be asked for.
    assert "pytorch-training:2.10.0-cpu" in request["AlgorithmSpecification"]["TrainingImage"]


def test_nothing_of_debugger_is_sent_without_being_asked_for() -> None:
    assert not [name for name in training_job_request(PLAIN) if "Debug" in name or "Prof" in name]


def test_debugger_in_a_tuning_job_is_refused() -> None:
    with pytest.raises(TrainingError, match="Debugger cannot be used in a tuning job"):
        TuningJob(name="t", training=replace(DEBUGGED, hyperparameters={}))


def test_the_originals_space_is_the_default() -> None:
    ranges = tuning_job_request(BAYESIAN)["HyperParameterTuningJobConfig"]["ParameterRanges"]

    (lr,), (epochs,), (batch_size,) = (
        ranges[kind]
        for kind in (
            "ContinuousParameterRanges",
            "IntegerParameterRanges",
            "CategoricalParameterRanges",
        )
    )
    assert (lr["MinValue"], lr["MaxValue"], lr["ScalingType"]) == ("0.001", "0.1", "Logarithmic")
    assert (epochs["MinValue"], epochs["MaxValue"]) == ("2", "6")
    assert batch_size == {"Name": "batch-size", "Values": ["16", "32", "64"]}


def test_hyperband_has_its_own_early_stopping() -> None:
    bayesian = tuning_job_request(BAYESIAN)["HyperParameterTuningJobConfig"]
    hyperband = tuning_job_request(HYPERBAND)["HyperParameterTuningJobConfig"]

    assert bayesian["TrainingJobEarlyStoppingType"] == "Auto"
    assert "StrategyConfig" not in bayesian
    assert hyperband["TrainingJobEarlyStoppingType"] == "Off"
    assert hyperband["StrategyConfig"]["HyperbandStrategyConfig"] == {
        "MinResource": 3,
        "MaxResource": 9,
    }


def test_a_hyperparameter_is_searched_or_fixed() -> None:
    with pytest.raises(TrainingError, match="Both fixed and searched: epochs, lr"):
        TuningJob(name="t", training=replace(TRIAL, hyperparameters={"lr": 0.1, "epochs": 3}))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"channels": {"training": "s3://imagedrop-models/training"}}, "share an address in S3"),
        ({"channels": {"training": PLAIN.source_uri.rpartition("/")[0]}}, "the sources share"),
        ({"channels": {"training": f"{PLAIN.output_uri}/dogs-1/"}}, "the output share"),
        ({"channels": {}}, "no data"),
        ({"channels": {"weights": "s3://b/w.pth"}}, "no data"),
        ({"name": "dogs_1"}, "not a valid job name"),
        ({"name": "d" * 64}, "not a valid job name"),
        ({"spot": True}, "they need one"),
        ({"max_wait_seconds": 99_999}, "Only spot jobs have a time to wait"),
        ({"spot": True, "max_wait_seconds": 60}, "includes the time to train"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(TrainingError, match=problem):
        replace(PLAIN, **changes)


def test_spot_machine_without_checkpoints_is_refused() -> None:
    job = replace(PLAIN, spot=True, max_wait_seconds=8 * 3600, checkpoint_uri=None)

    with pytest.raises(TrainingError, match="no checkpoints to resume from"):
        training_job_request(job)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"max_trials": 0, "max_parallel": 0}, "at least one trial"),
        ({"max_parallel": 21}, "21 trials at once, of 20"),
        ({"name": "n" * 33}, "not a valid name of a tuning job"),
        ({"parents": tuple("abcdef")}, "at most five searches"),
    ],
)
def test_what_cannot_be_searched_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(TrainingError, match=problem):
        replace(BAYESIAN, **changes)


def test_neighbours_share_no_prefix() -> None:
    assert shared_prefixes({"a": "s3://b/dogs", "b": "s3://b/dogs-2/", "c": "s3://b/cats"}) == []
    assert shared_prefixes({"a": "s3://b/dogs", "b": "s3://b/dogs/"}) == [("a", "b")]
    assert shared_prefixes({"a": "s3://b/", "b": "s3://b/dogs"}) == [("a", "b")]


def test_jobs_cannot_be_changed_once_they_are_checked() -> None:
    job: Any = PLAIN
    with pytest.raises(AttributeError):
        job.spot = True
    assert isinstance(job, TrainingJob)
