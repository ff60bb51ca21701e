"""A deployment prints its plan, uses one set of parameters, and explains failures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imagedrop.deployment.remedies import REMEDIES, UNKNOWN, next_step
from imagedrop.deployment.sam import find_sam
from imagedrop.errors import UserError
from imagedrop.samconfig import read_deployment
from localcloud import environments
from tests.unit.deployment.conftest import Bench, event, refusal
from tools.paths import PROJECT

MEMORY = (
    "The account-level service limit 'Memory size in MB per serverless endpoint' is 3072 MBs, with "
    "current utilization of 0 MBs and a request delta of 4096 MBs."
)


def test_the_plan_names_place_resources_and_idle_cost_and_changes_nothing(bench: Bench) -> None:
    told = bench.deploy("--dry-run", "--region", "eu-north-1")
    assert told.exit_code == 0
    assert "account 123456789012" in told.stderr
    assert re.search(r"\d x bucket", told.stderr)
    assert re.search(r"1\.00  KMS key", told.stderr)
    assert re.search(r"0\.26  polling of the queue", told.stderr)
    assert bench.calls() == []
    assert read_deployment().region is None


def test_an_instance_endpoint_shows_in_the_idle_cost(bench: Bench) -> None:
    told = bench.deploy("--dry-run", "--parameter", "EndpointCapacity=ml.m5.xlarge")
    assert re.search(r"167\.90  endpoint, one ml\.m5\.xlarge", told.stderr)


def test_build_and_deploy_get_the_same_parameters_and_plain_sam_repeats_them(bench: Bench) -> None:
    told = bench.deploy("--yes", "--parameter", "AlarmEmail=me@example.org", "--profile", "work")
    assert told.exit_code == 0, told.stderr
    build, deploy = (each["arguments"] for each in bench.calls())
    overrides = [
        "--parameter-overrides",
        'AlarmEmail="me@example.org"',
        'PythonRuntime="python3.11"',
    ]
    assert build == ["build", *overrides]
    assert deploy[-3:] == overrides
    assert "--no-confirm-changeset" in deploy
    assert deploy[deploy.index("--profile") + 1] == "work"
    saved = read_deployment()
    assert (saved.region, saved.profile) == ("us-east-1", "work")
    assert saved.parameters == {"AlarmEmail": "me@example.org", "PythonRuntime": "python3.11"}
    assert "# Kept." in bench.samconfig.read_text()


def test_sam_builds_with_a_python_that_runs_and_not_with_a_shim(bench: Bench) -> None:
    bench.deploy("--yes")
    assert bench.calls()[0]["python"] == str(bench.home / "bin" / "python3.11")


def test_without_any_python_that_runs_the_wanted_ones_are_named(bench: Bench) -> None:
    refused = bench.deploy("--yes", "--parameter", "PythonRuntime=python3.13")
    assert isinstance(refused.exception, UserError)
    assert "python3.13" in str(refused.exception)


def test_parameters_of_the_last_deployment_are_used_again(bench: Bench) -> None:
    bench.deploy("--yes", "--parameter", "ClassifyConcurrency=3")
    bench.deploy("--yes")
    assert 'ClassifyConcurrency="3"' in bench.calls()[-1]["arguments"]


def test_another_stack_starts_with_the_templates_defaults(bench: Bench) -> None:
    bench.deploy("--yes", "--parameter", "ClassifyConcurrency=3")
    told = bench.deploy("--dry-run", "--stack-name", "other")
    assert "ClassifyConcurrency" not in told.stderr


def test_without_a_yes_nothing_is_built_or_saved(bench: Bench) -> None:
    before = bench.samconfig.read_text()
    assert bench.deploy(input="n\n").exit_code == 1
    assert (bench.calls(), bench.samconfig.read_text()) == ([], before)


@pytest.mark.parametrize(
    "wrong",
    [
        "Typo=1",
        "EndpointCapacity=free",
        "ClassifyConcurrency=1",
        "ImageRetentionDays=many",
        "EndpointCapacity",
    ],
)
def test_a_wrong_parameter_is_refused_before_aws_is_asked(bench: Bench, wrong: str) -> None:
    bench.account.refused["sts"] = refusal("ExpiredToken")
    refused = bench.deploy("--yes", "--parameter", wrong)
    assert isinstance(refused.exception, UserError)
    assert wrong.partition("=")[0] in str(refused.exception)


def test_a_quota_that_is_too_small_is_marked(bench: Bench) -> None:
    bench.account.executions = 9
    bench.account.quotas = [{"QuotaCode": "L-96300102", "QuotaName": "total", "Value": 10.0}]
    told = bench.deploy("--dry-run").stderr
    assert "!! Lambda functions at once: needs 10, the account has 9" in told
    assert "L-96300102): needs 5, the account has 10" in told


def test_a_quota_that_cannot_be_asked_is_said_to_be_so(bench: Bench) -> None:
    bench.account.refused["service-quotas"] = refusal("AccessDeniedException")
    bench.account.refused["lambda"] = refusal("AccessDeniedException")
    told = bench.deploy("--dry-run")
    assert told.exit_code == 0
    assert told.stderr.count("it could not be asked (AccessDeniedException)") == 4
    assert "MB of a serverless endpoint" in told.stderr


def test_an_opt_in_region_is_said_to_need_enabling(bench: Bench) -> None:
    bench.account.region_name = "af-south-1"
    assert "opt-in region" in bench.deploy("--dry-run").stderr


def test_bad_credentials_are_a_users_problem(bench: Bench) -> None:
    bench.account.refused["sts"] = refusal("ExpiredToken")
    assert "ExpiredToken" in str(bench.deploy("--dry-run").exception)


def test_without_a_region_the_next_step_names_the_option(bench: Bench) -> None:
    bench.account.region_name = None
    refused = bench.deploy("--dry-run").exception
    assert isinstance(refused, UserError)
    assert "--region" in refused.next_step


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "DELETE_FAILED", "UPDATE_IN_PROGRESS"])
def test_a_stack_that_cannot_be_deployed_to_is_refused(bench: Bench, status: str) -> None:
    bench.account.status = status
    refused = bench.deploy("--yes").exception
    assert isinstance(refused, UserError)
    assert status in str(refused)
    assert ("imagedrop destroy" in refused.next_step) == (status != "UPDATE_IN_PROGRESS")
    assert bench.calls() == []


def test_a_failed_build_deploys_nothing(bench: Bench) -> None:
    bench.fail("build")
    refused = bench.deploy("--yes").exception
    assert "sam build" in str(refused)
    assert [each["arguments"][0] for each in bench.calls()] == ["build"]


def test_a_failed_deployment_says_which_resource_failed_why_and_what_to_do(bench: Bench) -> None:
    bench.fail("deploy")
    bench.account.status = "UPDATE_ROLLBACK_COMPLETE"
    bench.account.events = [
        event("imagedrop", "UPDATE_ROLLBACK_COMPLETE"),
        event("ApiFunction", "CREATE_FAILED", "Resource creation cancelled"),
        event("Endpoint", "CREATE_FAILED", MEMORY),
        event("imagedrop", "UPDATE_IN_PROGRESS"),
        event("Old", "CREATE_FAILED", "of another day"),
    ]
    told = bench.deploy("--yes")
    assert told.exit_code == 1
    assert f"Endpoint: {MEMORY}" in told.stderr
    assert "EndpointCapacity=2048" in told.stderr
    assert "ApiFunction" not in told.stderr
    assert "of another day" not in told.stderr


def test_the_docs_have_the_same_table_of_messages() -> None:
    text = (PROJECT / "docs" / "operations.md").read_text()
    rows = [f"| {each.says} | {each.next_step} |" for each in REMEDIES]
    assert "\n".join(rows) in text


@pytest.mark.parametrize("remedy", REMEDIES, ids=lambda each: each.says)
def test_each_message_is_recognised_by_what_the_table_says(remedy: object) -> None:
    assert isinstance(remedy, type(REMEDIES[0]))
    shown = remedy.says.replace("…", "x").replace("ml.x", "ml.m5.xlarge")
    assert next_step(shown) == remedy.next_step


def test_what_a_custom_resources_function_may_not_do_is_not_taken_for_the_deploying_role() -> None:
    message = (
        "Received response status [FAILED] from custom resource. Message returned: ClientError: "
        "role is not authorized to perform: ecr:PutImage (RequestId: 1)"
    )
    assert "/STACK/publish-image" in next_step(message)


def test_an_unknown_message_gets_a_next_step_too() -> None:
    assert next_step("something new") == UNKNOWN


def test_a_missing_sam_is_said_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEDROP_TOOLS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as refused:
        find_sam(tmp_path)
    assert "make setup" in refused.value.next_step
    assert str(environments.sam()) in str(refused.value)
