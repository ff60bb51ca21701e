"""Each check finds the fault that it is there for: the template is broken, and it must say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handlers import publish_model
from tests.unit.template import checks
from tests.unit.template.translation import PROJECT, Json, load, translate

pytestmark = pytest.mark.thorough

Fault = Callable[[Json], None]

IMAGES = "ImagesBucket.Properties"
QUEUE = "ImagesQueue.Properties"
CLASSIFY = "ClassifyFunction.Properties"
DROPPED = f"{CLASSIFY}.Events.Dropped.Properties"
TRAINED = "ProposeModelFunction.Properties.Events.TrainingJobCompleted.Properties.Pattern"
TABLE = "PredictionsTable.Properties"
API = "HttpApi.Properties"
SENDS = "ImagesQueuePolicy.Properties.PolicyDocument.Statement.0"
ENCRYPTION = (
    f"{IMAGES}.BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault"
)
KEY = "DataKey.Properties.KeyPolicy.Statement"
TRUST = "{}.Properties.AssumeRolePolicyDocument.Statement.0"
BODY = f"{API}.DefinitionBody"
JWT = f"{BODY}.components.securitySchemes.JWT.Fn::If.1.x-amazon-apigateway-authorizer"
VARIANT = "EndpointConfig.Properties.ProductionVariants.0"


def at(template: Json, path: str) -> tuple[Any, str | int]:
    """The container and the last step of a path below ``Resources`` (or of ``/Section.…``)."""
    here: Any = template
    steps = path[1:].split(".") if path.startswith("/") else ["Resources", *path.split(".")]
    for step in steps[:-1]:
        here = here[int(step) if isinstance(here, list) else step]
    return here, int(steps[-1]) if isinstance(here, list) else steps[-1]


def setting(path: str, value: object) -> Fault:
    def seed(template: Json) -> None:
        container, step = at(template, path)
        container[step] = value

    return seed


def without(path: str) -> Fault:
    def seed(template: Json) -> None:
        container, step = at(template, path)
        del container[step]  # a KeyError says that the fault is out of date

    return seed


def allowing(role: str, actions: object, resource: object) -> Fault:
    def seed(template: Json) -> None:
        policy, _ = at(template, f"{role}.Properties.Policies.0.PolicyDocument.Statement")
        policy["Statement"].append({"Effect": "Allow", "Action": actions, "Resource": resource})

    return seed


def adding(name: str, resource: Json) -> Fault:
    return setting(name, resource)


ANY_IMAGE = {"Fn::Sub": "${ImagesBucket.Arn}/incoming/*"}
FULL_ACCESS = {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AmazonS3FullAccess"}
PLAIN_BUCKET = {"Type": "AWS::S3::Bucket", "Properties": {}}
PLAIN_QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {}}
EXPIRING = {"Status": "Enabled", "Prefix": "incoming/", "ExpirationInDays": 30}
OPEN_PERMISSION = {
    "Type": "AWS::Lambda::Permission",
    "Properties": {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Ref": "ClassifyFunction"},
        "Principal": "s3.amazonaws.com",
    },
}
OPEN_ROUTE: Json = {"get": {"security": [], "responses": {}}}

SEEDED: list[tuple[str, Fault]] = [
    (
        "buckets_are_private",
        setting(f"{IMAGES}.PublicAccessBlockConfiguration.BlockPublicAcls", False),
    ),
    ("buckets_are_private", without(f"{IMAGES}.OwnershipControls")),
    ("buckets_are_private", adding("OtherBucket", PLAIN_BUCKET)),
    ("buckets_forget_unfinished_uploads", without(f"{IMAGES}.LifecycleConfiguration")),
    ("data_at_rest_is_under_the_data_key", without(f"{IMAGES}.BucketEncryption")),
    ("data_at_rest_is_under_the_data_key", setting(f"{ENCRYPTION}.SSEAlgorithm", "AES256")),
    ("data_at_rest_is_under_the_data_key", without(f"{ENCRYPTION}.KMSMasterKeyID")),
    (
        "data_at_rest_is_under_the_data_key",
        without(f"{IMAGES}.BucketEncryption.ServerSideEncryptionConfiguration.0.BucketKeyEnabled"),
    ),
    ("data_at_rest_is_under_the_data_key", setting(f"{QUEUE}.KmsMasterKeyId", "alias/aws/sqs")),
    ("data_at_rest_is_under_the_data_key", without("DeadLetterQueue.Properties.KmsMasterKeyId")),
    ("data_at_rest_is_under_the_data_key", without(f"{TABLE}.SSESpecification")),
    ("data_at_rest_is_under_the_data_key", without("ClassifyLogs.Properties.KmsKeyId")),
    ("data_at_rest_is_under_the_data_key", without("AlarmTopic.Properties.KmsMasterKeyId")),
    ("data_at_rest_is_under_the_data_key", without("/Globals.Function.KmsKeyArn")),
    ("the_key_rotates_and_stays", without("DataKey.Properties.EnableKeyRotation")),
    ("the_key_rotates_and_stays", without("DataKey.DeletionPolicy")),
    ("the_key_rotates_and_stays", without("DataKey.Condition")),
    ("grants_on_the_key_are_for_services_alone", without(f"{KEY}.1")),
    ("grants_on_the_key_are_for_services_alone", setting(f"{KEY}.1.Effect", "Allow")),
    ("no_service_is_a_confused_deputy", without(f"{KEY}.2.Condition.StringEquals")),
    ("no_service_is_a_confused_deputy", without(f"{KEY}.3.Condition.ArnLike")),
    ("no_service_is_a_confused_deputy", without(f"{KEY}.4.Condition")),
    ("no_service_is_a_confused_deputy", without(f"{TRUST.format('ClassifyRole')}.Condition")),
    (
        "no_service_is_a_confused_deputy",
        without(f"{TRUST.format('EndpointRole')}.Condition.ArnLike"),
    ),
    (
        "no_service_is_a_confused_deputy",
        setting(f"{TRUST.format('BulkRole')}.Condition.ArnLike", {"aws:SourceArn": "arn:aws:*:*"}),
    ),
    ("only_tls_is_answered", without("ImagesBucketPolicy")),
    ("only_tls_is_answered", without("ModelsBucketPolicy")),
    ("only_tls_is_answered", without("DeadLetterQueuePolicy")),
    (
        "only_tls_is_answered",
        without("ImagesQueuePolicy.Properties.PolicyDocument.Statement.1"),
    ),
    (
        "only_tls_is_answered",
        setting(
            "ImagesBucketPolicy.Properties.PolicyDocument.Statement.0.Resource",
            [{"Fn::GetAtt": ["ImagesBucket", "Arn"]}],
        ),
    ),
    ("only_tls_is_answered", adding("OtherQueue", PLAIN_QUEUE)),
    ("images_are_versioned", setting(f"{IMAGES}.VersioningConfiguration.Status", "Suspended")),
    (
        "the_queue_hears_of_incoming_images_alone",
        without(f"{IMAGES}.NotificationConfiguration.QueueConfigurations.1"),
    ),
    (
        "the_queue_hears_of_incoming_images_alone",
        without(f"{IMAGES}.NotificationConfiguration.QueueConfigurations.0.Filter"),
    ),
    ("the_bucket_waits_for_the_queues_policy", without("ImagesBucket.DependsOn")),
    ("only_the_images_bucket_of_this_account_sends", without(f"{SENDS}.Condition.ArnEquals")),
    ("only_the_images_bucket_of_this_account_sends", without(f"{SENDS}.Condition.StringEquals")),
    ("only_the_images_bucket_of_this_account_sends", setting(f"{SENDS}.Principal", "*")),
    ("only_the_images_bucket_of_this_account_sends", setting(f"{SENDS}.Action", "sqs:*")),
    ("failed_messages_become_dead_letters", without(f"{QUEUE}.RedrivePolicy")),
    ("failed_messages_become_dead_letters", setting(f"{QUEUE}.RedrivePolicy.maxReceiveCount", 1)),
    (
        "dead_letters_are_kept_for_14_days",
        without("DeadLetterQueue.Properties.MessageRetentionPeriod"),
    ),
    ("dead_letters_are_kept_for_14_days", setting(f"{QUEUE}.MessageRetentionPeriod", 1_209_600)),
    ("visibility_outlasts_the_function", setting(f"{QUEUE}.VisibilityTimeout", 90)),
    ("visibility_outlasts_the_function", without(f"{QUEUE}.VisibilityTimeout")),
    ("visibility_outlasts_the_function", setting(f"{CLASSIFY}.Timeout", 91)),
    ("one_failed_image_does_not_repeat_its_batch", without(f"{DROPPED}.FunctionResponseTypes")),
    ("a_batch_fits_one_endpoint_call", setting(f"{DROPPED}.BatchSize", 28)),
    (
        "the_function_knows_the_payload_limit",
        setting(f"{CLASSIFY}.Environment.Variables.MAX_PAYLOAD_BYTES", "6291456"),
    ),
    ("batches_are_gathered", without(f"{DROPPED}.MaximumBatchingWindowInSeconds")),
    ("concurrency_is_bounded_as_the_endpoint_is", without(f"{DROPPED}.ScalingConfig")),
    (
        "concurrency_is_bounded_as_the_endpoint_is",
        setting(f"{VARIANT}.ServerlessConfig.Fn::If.1.MaxConcurrency", 1),
    ),
    (
        "concurrency_is_bounded_as_the_endpoint_is",
        setting("/Parameters.ClassifyConcurrency.MinValue", 1),
    ),
    (
        "executions_are_reserved_only_when_asked",
        setting(f"{CLASSIFY}.ReservedConcurrentExecutions", 5),
    ),
    (
        "executions_are_reserved_only_when_asked",
        setting(f"{CLASSIFY}.ReservedConcurrentExecutions.Fn::If.1", 1),
    ),
    (
        "executions_are_reserved_only_when_asked",
        without("/Globals.Function.ReservedConcurrentExecutions"),
    ),
    (
        "executions_are_reserved_only_when_asked",
        setting("/Parameters.ReserveConcurrency.Default", "yes"),
    ),
    ("functions_can_live_in_a_vpc", without("/Globals.Function.VpcConfig")),
    ("functions_can_live_in_a_vpc", setting(f"{CLASSIFY}.VpcConfig", {"SubnetIds": ["subnet-1"]})),
    ("every_step_is_traced", without("/Globals.Function.Tracing")),
    ("every_step_is_traced", setting(f"{CLASSIFY}.Tracing", "PassThrough")),
    ("every_step_is_traced", without("BulkStateMachine.Properties.Tracing")),
    (
        "functions_are_told_what_they_need",
        without(f"{CLASSIFY}.Environment.Variables.IMAGE_SPEC"),
    ),
    (
        "functions_are_told_what_they_need",
        setting(f"{CLASSIFY}.Environment.Variables.API_KEY", {"Ref": "AlarmEmail"}),
    ),
    ("handlers_exist", setting(f"{CLASSIFY}.Handler", "handlers.classify.lambda_handler")),
    ("handlers_exist", setting("ApiFunction.Properties.Handler", "handlers.http.handler")),
    (
        "the_newest_python_is_the_default",
        setting("/Parameters.PythonRuntime.Default", "python3.11"),
    ),
    ("the_newest_python_is_the_default", setting(f"{CLASSIFY}.Runtime", "python3.12")),
    (
        "every_function_has_a_role_of_its_own",
        setting("ApiFunction.Properties.Role", {"Fn::GetAtt": ["ClassifyRole", "Arn"]}),
    ),
    ("roles_may_do_exactly_what_is_listed", allowing("ApiRole", "dynamodb:PutItem", ANY_IMAGE)),
    (
        "roles_may_do_exactly_what_is_listed",
        setting("ClassifyRole.Properties.Policies.0.PolicyDocument.Statement.1.Resource", "*"),
    ),
    (
        "roles_may_do_exactly_what_is_listed",
        without("ClassifyRole.Properties.Policies.0.PolicyDocument.Statement.2"),
    ),
    (
        "roles_may_do_exactly_what_is_listed",
        without("EndpointRole.Properties.Policies.0.PolicyDocument.Statement.1.Condition"),
    ),
    (
        "roles_may_do_exactly_what_is_listed",
        setting(
            "ApiRole.Properties.AssumeRolePolicyDocument.Statement.0.Principal.Service",
            "ec2.amazonaws.com",
        ),
    ),
    ("roles_may_do_exactly_what_is_listed", without("ApiFunction.Properties.Role")),
    (
        "roles_may_do_exactly_what_is_listed",
        setting("DataKeyPolicy.Properties.PolicyDocument.Statement.0.Resource", "*"),
    ),
    (
        "roles_may_do_exactly_what_is_listed",
        without("DataKeyPolicy.Properties.PolicyDocument.Statement.0.Condition"),
    ),
    (
        "roles_share_the_stacks_own_policies_alone",
        setting("ClassifyRole.Properties.ManagedPolicyArns", [FULL_ACCESS]),
    ),
    (
        "roles_share_the_stacks_own_policies_alone",
        setting("EndpointRole.Properties.ManagedPolicyArns.0", {"Ref": "FunctionPolicy"}),
    ),
    (
        "roles_share_the_stacks_own_policies_alone",
        setting("DataKeyPolicy.Properties.Users", ["somebody"]),
    ),
    (
        "code_in_a_vpc_makes_no_network_interfaces",
        without("FunctionPolicy.Properties.PolicyDocument.Statement.2"),
    ),
    ("no_permission_is_a_wildcard", allowing("ApiRole", "dynamodb:*", ANY_IMAGE)),
    ("no_permission_is_a_wildcard", allowing("ApiRole", ["dynamodb:GetItem"], "*")),
    ("no_permission_is_a_wildcard", allowing("EndpointRole", "*", "*")),
    ("nobody_writes_where_images_are_dropped", allowing("ClassifyRole", "s3:PutObject", ANY_IMAGE)),
    (
        "nobody_writes_where_images_are_dropped",
        allowing("PublishModelRole", ["s3:DeleteObject"], ANY_IMAGE),
    ),
    ("only_this_stacks_api_and_rule_call_a_function", adding("OtherPermission", OPEN_PERMISSION)),
    ("no_parameter_takes_a_promoted_model_back", without("PublishedModel.Properties.Serving")),
    (
        "images_and_work_files_expire_when_told",
        without("ImagesBucket.Properties.LifecycleConfiguration.Rules.0"),
    ),
    (
        "images_and_work_files_expire_when_told",
        without("ImagesBucket.Properties.LifecycleConfiguration.Rules.1"),
    ),
    (
        "images_and_work_files_expire_when_told",
        without("ImagesBucket.Properties.LifecycleConfiguration.Rules.2"),
    ),
    (
        "images_and_work_files_expire_when_told",
        without(
            "ImagesBucket.Properties.LifecycleConfiguration.Rules.1.Fn::If.1"
            ".NoncurrentVersionExpiration"
        ),
    ),
    (
        "images_and_work_files_expire_when_told",
        setting("ImagesBucket.Properties.LifecycleConfiguration.Rules.0.Fn::If.2", EXPIRING),
    ),
    (
        "images_and_work_files_expire_when_told",
        without("WorkBucket.Properties.LifecycleConfiguration.Rules.0.ExpirationInDays"),
    ),
    (
        "a_promotion_is_a_persons_word",
        allowing("ProposeModelRole", ["sagemaker:UpdateEndpoint"], {"Ref": "Endpoint"}),
    ),
    (
        "a_promotion_is_a_persons_word",
        allowing("ProposeModelRole", "s3:PutObject", {"Fn::Sub": "${ModelsBucket.Arn}/models/*"}),
    ),
    (
        "only_this_stacks_completed_trainings_are_proposed",
        without(f"{TRAINED}.detail.OutputDataConfig"),
    ),
    (
        "only_this_stacks_completed_trainings_are_proposed",
        setting(f"{TRAINED}.detail.TrainingJobStatus", ["Completed", "Failed"]),
    ),
    (
        "only_this_stacks_completed_trainings_are_proposed",
        setting(f"{TRAINED}.source", ["my.application"]),
    ),
    ("a_new_bundle_publishes_its_model", without("PublishedModel.Properties.CodeVersion")),
    (
        "a_new_bundle_publishes_its_model",
        setting("Model.Properties.PrimaryContainer.ModelDataUrl", "s3://other/model.tar.gz"),
    ),
    ("a_silent_custom_resource_fails_soon", without("PublishedModel.Properties.ServiceTimeout")),
    (
        "a_silent_custom_resource_fails_soon",
        setting("PublishedModel.Properties.ServiceTimeout", 30),
    ),
    ("the_endpoint_is_serverless_or_instances", setting(f"{VARIANT}.InitialInstanceCount", 1)),
    ("the_endpoint_is_serverless_or_instances", without(f"{VARIANT}.ServerlessConfig")),
    (
        "the_endpoint_is_serverless_or_instances",
        setting("/Parameters.EndpointMode.Default", "instance"),
    ),
    ("a_model_of_ones_own_image_is_isolated", without("Model.Properties.EnableNetworkIsolation")),
    (
        "a_model_of_ones_own_image_is_isolated",
        setting("Model.Properties.EnableNetworkIsolation", True),
    ),
    ("a_model_of_ones_own_image_is_isolated", without("Model.Properties.VpcConfig")),
    (
        "a_model_of_ones_own_image_is_isolated",
        without("/Conditions.ModelIsolated.Fn::And.1"),
    ),
    (
        "another_mode_is_another_endpoint",
        setting("Endpoint.Properties.EndpointName", {"Fn::Sub": "${AWS::StackName}-endpoint"}),
    ),
    (
        "names_fit_the_longest_stack_name",
        setting(
            f"{IMAGES}.BucketName.Fn::Sub.0", "${AWS::StackName}-dropped-images-${StackSuffix}"
        ),
    ),
    ("names_fit_the_longest_stack_name", setting("/Description", "at most 50 characters")),
    ("only_instances_are_scaled", without("EndpointScalableTarget.Condition")),
    ("only_instances_are_scaled", without("EndpointScalingPolicy")),
    (
        "the_table_is_as_the_pipeline_reads_it",
        setting(f"{TABLE}.GlobalSecondaryIndexes.0.KeySchema.0.AttributeName", "label_shard"),
    ),
    (
        "the_table_is_as_the_pipeline_reads_it",
        setting(f"{TABLE}.GlobalSecondaryIndexes.1.Projection.ProjectionType", "KEYS_ONLY"),
    ),
    (
        "the_table_is_as_the_pipeline_reads_it",
        setting(f"{TABLE}.TimeToLiveSpecification", {"AttributeName": "ttl", "Enabled": True}),
    ),
    ("the_table_grows_and_can_be_restored", setting(f"{TABLE}.BillingMode", "PROVISIONED")),
    ("the_table_grows_and_can_be_restored", without(f"{TABLE}.PointInTimeRecoverySpecification")),
    ("data_outlives_the_stack", without("ImagesBucket.DeletionPolicy")),
    ("data_outlives_the_stack", setting("PredictionsTable.DeletionPolicy", "Delete")),
    ("data_outlives_the_stack", setting("WorkBucket.DeletionPolicy", "Retain")),
    ("data_outlives_the_stack", without("PredictionsTable.UpdateReplacePolicy")),
    ("the_table_is_not_deleted_by_hand", without(f"{TABLE}.DeletionProtectionEnabled")),
    ("every_route_asks_for_credentials", without(f"{BODY}.paths./health.get.security")),
    ("every_route_asks_for_credentials", setting(f"{BODY}.paths./labels.get.security", [])),
    (
        "every_route_asks_for_credentials",
        setting(f"{BODY}.paths./predictions.get.security.Fn::If.2", [{"NONE": []}]),
    ),
    (
        "every_route_asks_for_credentials",
        setting(f"{BODY}.paths./predictions.get.security.Fn::If.1", []),
    ),
    (
        "every_route_asks_for_credentials",
        without(f"{BODY}.components.securitySchemes.AWS_IAM.x-amazon-apigateway-authtype"),
    ),
    (
        "every_route_asks_for_credentials",
        setting(f"{JWT}.jwtConfiguration.issuer", "https://anybody.example"),
    ),
    ("every_route_asks_for_credentials", without(f"{JWT}.jwtConfiguration.audience")),
    (
        "credentials_are_the_default_and_tokens_name_their_audience",
        setting("/Parameters.JwtIssuer.Default", "https://anybody.example"),
    ),
    (
        "credentials_are_the_default_and_tokens_name_their_audience",
        setting("/Conditions.ByToken", {"Fn::Equals": ["yes", "yes"]}),
    ),
    ("credentials_are_the_default_and_tokens_name_their_audience", without("/Rules")),
    ("the_api_has_its_routes_alone", setting(f"{BODY}.paths./{{proxy+}}", OPEN_ROUTE)),
    ("no_other_site_may_call_the_api", setting(f"{API}.CorsConfiguration", True)),
    (
        "no_other_site_may_call_the_api",
        setting(f"{API}.CorsConfiguration", {"AllowOrigins": ["*"], "AllowMethods": ["GET"]}),
    ),
    ("the_api_is_throttled", without(f"{API}.DefaultRouteSettings")),
    ("the_api_is_throttled", setting(f"{API}.DefaultRouteSettings.ThrottlingRateLimit", 100_000)),
    ("the_api_writes_access_logs", without(f"{API}.AccessLogSettings")),
    ("every_log_group_forgets", without("ClassifyLogs.Properties.RetentionInDays")),
    ("every_log_group_forgets", without("EndpointLogs.Properties.RetentionInDays")),
    (
        "every_log_group_forgets",
        adding("OtherLogs", {"Type": "AWS::Logs::LogGroup", "Properties": {}}),
    ),
    ("every_function_logs_to_a_group_of_the_stack", without(f"{CLASSIFY}.LoggingConfig")),
    (
        "every_function_logs_to_a_group_of_the_stack",
        setting("Endpoint.Properties.EndpointName.Fn::Sub.0", "other-${AWS::StackName}"),
    ),
    ("somebody_can_hear_what_goes_wrong", without("DeadLettersAlarm")),
    ("somebody_can_hear_what_goes_wrong", without("OldestImageAlarm")),
    ("somebody_can_hear_what_goes_wrong", without("ClassifyErrorsAlarm.Properties.AlarmActions")),
    ("somebody_can_hear_what_goes_wrong", without("AlarmTopic.Condition")),
    ("runaway_costs_are_heard_of", without("MonthlyBudget")),
    (
        "runaway_costs_are_heard_of",
        without("MonthlyBudget.Properties.NotificationsWithSubscribers.1"),
    ),
    (
        "outputs_are_names_and_addresses_alone",
        setting("/Outputs.Email", {"Value": {"Ref": "AlarmEmail"}}),
    ),
    ("outputs_are_names_and_addresses_alone", without("/Outputs.ApiUrl")),
]


LEAST_CAUGHT = 0.95
LEAST_KINDS = 40


@pytest.fixture(scope="module")
def found() -> list[set[str]]:
    """For each seeded fault, one at a time, the checks that object."""

    def objections(seed: Fault) -> set[str]:
        raw = load()
        seed(raw)
        broken = translate(raw)
        return {name for name, check in checks.CHECKS.items() if objects(check, broken)}

    return [objections(seed) for _, seed in SEEDED]


def objects(check: checks.Check, template: Json) -> bool:
    try:
        return bool(list(check(template)))
    except (KeyError, IndexError, TypeError, ValueError):
        return False  # it met something that is gone; that alone is not counted


@pytest.mark.parametrize(
    "index", range(len(SEEDED)), ids=[f"{index}-{name}" for index, (name, _) in enumerate(SEEDED)]
)
def test_a_seeded_fault_is_found(found: list[set[str]], index: int) -> None:
    assert SEEDED[index][0] in found[index]


def test_nearly_all_seeded_faults_are_caught_and_the_template_raises_no_alarm(
    found: list[set[str]], template: Json, record_property: Callable[[str, object], None]
) -> None:
    kinds = {name for name, _ in SEEDED}
    caught = sum(bool(checks_that_object) for checks_that_object in found)
    false_alarms = [fault for check in checks.CHECKS.values() for fault in check(template)]
    record_property("kinds", len(kinds))
    record_property("faults", len(SEEDED))
    record_property("caught", caught)
    print(f"{caught} of {len(SEEDED)} faults of {len(kinds)} kinds caught")
    assert len(kinds) >= LEAST_KINDS
    assert caught / len(SEEDED) >= LEAST_CAUGHT
    assert false_alarms == []


@pytest.mark.parametrize(
    "elsewhere", [Path("/model.tar.gz"), PROJECT / "functions" / "gone.tar.gz"]
)
def test_an_archive_that_is_not_in_the_bundle_is_found(
    template: Json, monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    monkeypatch.setattr(publish_model, "ARCHIVE_PATH", elsewhere)
    assert list(checks.the_default_model_is_in_the_bundle(template))


def test_every_check_has_a_seeded_fault() -> None:
    proven = {name for name, _ in SEEDED} | {"the_default_model_is_in_the_bundle"}
    assert proven == set(checks.CHECKS)
