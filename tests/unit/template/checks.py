"""Faults that linters miss. A check yields one line a fault; a sound template has none.

Each check has at least one seeded fault in ``test_seeded_faults.py`` that it must find.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator

from archive.reading import check_archive
from handlers import publish_model
from imaging import ImageSpec, encode_npy
from tests.unit.template.translation import (
    PROJECT,
    Json,
    as_list,
    of_type,
    properties,
    references,
    statements,
    text,
    with_conditions,
)

Faults = Iterator[str]
Check = Callable[[Json], Faults]

# Lambda's rule for a queue's visibility timeout, in timeouts of the function.
VISIBILITY_TIMEOUTS = 6
SERVERLESS_PAYLOAD_BYTES = 4 * 1024 * 1024
INSTANCE_PAYLOAD_BYTES = 6_291_456
DAY_SECONDS = 86_400

ANOTHER_SOURCE = "arn:${AWS::Partition}:s3:::${BulkSourceBucket}"
HERE = "arn:${{AWS::Partition}}:{}:${{AWS::Region}}:${{AWS::AccountId}}"

# The stack's own key, or the one that a parameter names.
DATA_KEY = {
    "Fn::If": ["MakesKey", {"Fn::GetAtt": ["DataKey", "Arn"]}, {"Ref": "DataKeyArn"}],
}
THROUGH_THE_DATAS_SERVICES = {
    "StringEquals": {
        "kms:ViaService": [
            {"Fn::Sub": f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}"}
            for service in ("dynamodb", "lambda", "s3", "sns", "sqs")
        ]
    }
}
# Lambda tells the account when it assumes a role; functions are named only after their roles.
WITHOUT_SOURCE_ARN = {"lambda.amazonaws.com"}

# What Lambda and SageMaker ask for, to put a function or a model into a VPC.
FUNCTION_IN_VPC = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
MODEL_IN_VPC = {
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
}

# Everything that each role may do: service, then action and resource (and condition).
MAY = {
    "DataKeyPolicy": {
        f"kms:{action} on ${{DataKeyArn}} if {json.dumps(THROUGH_THE_DATAS_SERVICES)}"
        for action in ("Decrypt", "GenerateDataKey")
    },
    "FunctionPolicy": {
        "xray:PutTelemetryRecords on *",
        "xray:PutTraceSegments on *",
        *(f"{action} on *" for action in sorted(FUNCTION_IN_VPC)),
    },
    "ClassifyRole": {
        "lambda.amazonaws.com",
        "sqs:ReceiveMessage on ${ImagesQueue.Arn}",
        "sqs:DeleteMessage on ${ImagesQueue.Arn}",
        "sqs:GetQueueAttributes on ${ImagesQueue.Arn}",
        "sqs:ChangeMessageVisibility on ${ImagesQueue.Arn}",
        "sqs:SendMessage on ${DeadLetterQueue.Arn}",
        "s3:GetObject on ${ImagesBucket.Arn}/incoming/*",
        "s3:GetObjectVersion on ${ImagesBucket.Arn}/incoming/*",
        "s3:ListBucket on ${ImagesBucket.Arn}",
        "sagemaker:InvokeEndpoint on ${Endpoint}",
        "dynamodb:PutItem on ${PredictionsTable.Arn}",
        "logs:CreateLogStream on ${ClassifyLogs.Arn}",
        "logs:PutLogEvents on ${ClassifyLogs.Arn}",
    },
    "PublishModelRole": {
        "lambda.amazonaws.com",
        "s3:PutObject on ${ModelsBucket.Arn}/models/*/*",
        "s3:DeleteObject on ${ModelsBucket.Arn}/models/*/*",
        "s3:GetObject on ${ModelsBucket.Arn}/models/promotions.json",
        "s3:ListBucket on ${ModelsBucket.Arn}",
        "logs:CreateLogStream on ${PublishModelLogs.Arn}",
        "logs:PutLogEvents on ${PublishModelLogs.Arn}",
    },
    "EndpointRole": {
        "sagemaker.amazonaws.com",
        "s3:GetObject on ${ModelsBucket.Arn}/models/*",
        's3:ListBucket on ${ModelsBucket.Arn} if {"StringLike": {"s3:prefix": "models/*"}}',
        "s3:GetObject on ${WorkBucket.Arn}/work/*",
        "s3:GetObject on ${ImagesBucket.Arn}/*",
        f"s3:GetObject on {ANOTHER_SOURCE}/*",
        "s3:PutObject on ${WorkBucket.Arn}/work/*/out/*",
        's3:ListBucket on ${WorkBucket.Arn} if {"StringLike": {"s3:prefix": "work/*"}}',
        *(
            f"ecr:{action} on arn:${{AWS::Partition}}:ecr:${{AWS::Region}}:"
            "${ServingImageAccount}:repository/${ServingImageRepository}"
            for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
        ),
        "ecr:GetAuthorizationToken on *",
        "cloudwatch:PutMetricData on * if "
        '{"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}}',
        "logs:CreateLogStream on ${EndpointLogs.Arn}",
        "logs:DescribeLogStreams on ${EndpointLogs.Arn}",
        "logs:PutLogEvents on ${EndpointLogs.Arn}",
        f"cloudwatch:DescribeAlarms on {HERE.format('cloudwatch')}:alarm:${{AWS::StackName}}-*",
        *(f"{action} on *" for action in sorted(MODEL_IN_VPC)),
    },
    "BulkRole": {
        "states.amazonaws.com",
        *(
            f"lambda:InvokeFunction on ${{{steps}Function.Arn}}"
            for steps in ("BulkSteps", "BulkChunks")
        ),
        "s3:GetObject on ${WorkBucket.Arn}/work/*",
        f"states:StartExecution on {HERE.format('states')}:stateMachine:${{AWS::StackName}}-bulk",
        *(
            f"states:{action} on {HERE.format('states')}:execution:${{AWS::StackName}}-bulk/*"
            for action in ("DescribeExecution", "StopExecution")
        ),
        *(
            f"sagemaker:{action} on {HERE.format('sagemaker')}:transform-job/bulk-*"
            for action in (
                "CreateTransformJob",
                "DescribeTransformJob",
                "StopTransformJob",
                "AddTags",
                "ListTags",
            )
        ),
        *(
            f"events:{action} on {HERE.format('events')}"
            ":rule/StepFunctionsGetEventsForSageMakerTransformJobsRule"
            for action in ("PutTargets", "PutRule", "DescribeRule")
        ),
        f"events:PutEvents on {HERE.format('events')}:event-bus/default",
        *(
            f"xray:{action} on *"
            for action in (
                "GetSamplingRules",
                "GetSamplingTargets",
                "PutTelemetryRecords",
                "PutTraceSegments",
            )
        ),
    },
    "BulkStepsRole": {
        "lambda.amazonaws.com",
        "s3:GetObject on ${WorkBucket.Arn}/work/*",
        "s3:PutObject on ${WorkBucket.Arn}/work/*",
        "s3:PutObject on ${WorkBucket.Arn}/reports/*",
        "s3:ListBucket on ${WorkBucket.Arn}",
        "s3:ListBucketVersions on ${ImagesBucket.Arn}",
        f"s3:ListBucketVersions on {ANOTHER_SOURCE}",
        f"s3:GetObject on {ANOTHER_SOURCE}/*",
        "s3:GetObject on ${ImagesBucket.Arn}/*",
        "s3:GetObject on ${ModelsBucket.Arn}/models/*/model.json",
        "sagemaker:DescribeEndpoint on ${Endpoint}",
        f"sagemaker:DescribeEndpointConfig on {HERE.format('sagemaker')}:endpoint-config/*",
        f"sagemaker:DescribeModel on {HERE.format('sagemaker')}:model/*",
        "logs:CreateLogStream on ${BulkStepsLogs.Arn}",
        "logs:PutLogEvents on ${BulkStepsLogs.Arn}",
    },
    "BulkChunksRole": {
        "lambda.amazonaws.com",
        "s3:GetObject on ${WorkBucket.Arn}/work/*",
        "s3:PutObject on ${WorkBucket.Arn}/work/*",
        "s3:ListBucket on ${WorkBucket.Arn}",
        "s3:GetObject on ${ImagesBucket.Arn}/*",
        "s3:GetObjectVersion on ${ImagesBucket.Arn}/*",
        "s3:ListBucket on ${ImagesBucket.Arn}",
        f"s3:ListBucket on {ANOTHER_SOURCE}",
        f"s3:GetObject on {ANOTHER_SOURCE}/*",
        f"s3:GetObjectVersion on {ANOTHER_SOURCE}/*",
        "dynamodb:BatchGetItem on ${PredictionsTable.Arn}",
        "dynamodb:PutItem on ${PredictionsTable.Arn}",
        "dynamodb:UpdateItem on ${PredictionsTable.Arn}",
        "logs:CreateLogStream on ${BulkChunksLogs.Arn}",
        "logs:PutLogEvents on ${BulkChunksLogs.Arn}",
    },
    "TrainingRole": {
        "sagemaker.amazonaws.com",
        *(
            f"s3:GetObject on ${{ModelsBucket.Arn}}/training/{folder}/*"
            for folder in ("data", "weights", "sources", "checkpoints", "debugger")
        ),
        *(
            f"s3:PutObject on ${{ModelsBucket.Arn}}/training/{folder}/*"
            for folder in ("jobs", "checkpoints", "debugger")
        ),
        's3:ListBucket on ${ModelsBucket.Arn} if {"StringLike": {"s3:prefix": "training/*"}}',
        *(
            f"ecr:{action} on arn:${{AWS::Partition}}:ecr:${{AWS::Region}}:"
            f"${{TrainingImageAccount}}:repository/{repository}"
            for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
            for repository in ("pytorch", "pytorch-training")
        ),
        "ecr:GetAuthorizationToken on *",
        "cloudwatch:PutMetricData on * if "
        '{"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}}',
        *(
            f"logs:{action} on {HERE.format('logs')}:log-group:/aws/sagemaker/{group}:*"
            for action in (
                "CreateLogGroup",
                "CreateLogStream",
                "DescribeLogStreams",
                "PutLogEvents",
            )
            for group in ("TrainingJobs", "ProcessingJobs")
        ),
    },
    "ProposeModelRole": {
        "lambda.amazonaws.com",
        "s3:GetObject on ${ModelsBucket.Arn}/training/jobs/*",
        "s3:GetObject on ${ModelsBucket.Arn}/models/*/*",
        "s3:PutObject on ${ModelsBucket.Arn}/models/*/*",
        f"sagemaker:DescribeTrainingJob on {HERE.format('sagemaker')}:training-job/*",
        *(
            f"sagemaker:{action} on {HERE.format('sagemaker')}:model-package-group/*"
            for action in (
                "CreateModelPackageGroup",
                "DescribeModelPackageGroup",
                "CreateModelPackage",
                "ListModelPackages",
            )
        ),
        *(
            f"sagemaker:{action} on {HERE.format('sagemaker')}:model-package/*"
            for action in ("CreateModelPackage", "DescribeModelPackage", "ListModelPackages")
        ),
        *(
            f"ecr:{action} on arn:${{AWS::Partition}}:ecr:${{AWS::Region}}:"
            "${ServingImageAccount}:repository/${ServingImageRepository}"
            for action in ("BatchGetImage", "DescribeImages")
        ),
        "sns:Publish on ${AlarmTopic}",
        "logs:CreateLogStream on ${ProposeModelLogs.Arn}",
        "logs:PutLogEvents on ${ProposeModelLogs.Arn}",
    },
    "ApiRole": {
        "lambda.amazonaws.com",
        "dynamodb:GetItem on ${PredictionsTable.Arn}",
        "dynamodb:Query on ${PredictionsTable.Arn}/index/by_time",
        "dynamodb:Query on ${PredictionsTable.Arn}/index/by_label",
        "s3:GetObject on ${ModelsBucket.Arn}/models/*/model.json",
        "sagemaker:DescribeEndpoint on ${Endpoint}",
        f"sagemaker:DescribeEndpointConfig on {HERE.format('sagemaker')}:endpoint-config/*",
        f"sagemaker:DescribeModel on {HERE.format('sagemaker')}:model/*",
        "logs:CreateLogStream on ${ApiLogs.Arn}",
        "logs:PutLogEvents on ${ApiLogs.Arn}",
    },
}
# These actions know no resources, or the service asks for all: AWS takes "*" alone.
WITHOUT_RESOURCES = {
    "ecr:GetAuthorizationToken",
    "cloudwatch:PutMetricData",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
    *FUNCTION_IN_VPC,
    *MODEL_IN_VPC,
}

OUTPUTS = {
    "ImagesBucketName": "${ImagesBucket}",
    "ImagesQueueUrl": "${ImagesQueue}",
    "DeadLetterQueueUrl": "${DeadLetterQueue}",
    "EndpointName": "${Endpoint.EndpointName}",
    "RollbackAlarmNames": "${EndpointErrorsAlarm},${ClassifyErrorsAlarm},${DeadLettersAlarm}",
    "ModelsBucketName": "${ModelsBucket}",
    "DefaultModelDataUrl": "${PublishedModel.DefaultModelDataUrl}",
    "TrainingRoleArn": "${TrainingRole.Arn}",
    "PredictionsTableName": "${PredictionsTable}",
    "WorkBucketName": "${WorkBucket}",
    "BulkStateMachineArn": "${BulkStateMachine}",
    "ApiUrl": "https://${HttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}",
}


# ------------------------------------------------------------------------ buckets and queues
def buckets_are_private(template: Json) -> Faults:
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        block = bucket.get("PublicAccessBlockConfiguration", {})
        yield from (
            f"{name}: {setting} is off"
            for setting in (
                "BlockPublicAcls",
                "BlockPublicPolicy",
                "IgnorePublicAcls",
                "RestrictPublicBuckets",
            )
            if block.get(setting) is not True
        )
        if bucket.get("OwnershipControls") != {
            "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
        }:
            yield f"{name}: access control lists are possible"


def buckets_forget_unfinished_uploads(template: Json) -> Faults:
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        rules = bucket.get("LifecycleConfiguration", {}).get("Rules", [])
        if not any("AbortIncompleteMultipartUpload" in rule for rule in rules):
            yield name


def images_and_work_files_expire_when_told(template: Json) -> Faults:
    """Originals by a parameter, with their older versions; work files always."""
    for name, condition, prefixes, parameter in (
        ("ImagesBucket", {"ImagesExpire"}, ["incoming/", "folders/"], "ImageRetentionDays"),
        ("WorkBucket", set[str](), ["work/"], "WorkRetentionDays"),
    ):
        bucket = with_conditions(properties(template, name), condition)
        rules = [
            each
            for each in bucket.get("LifecycleConfiguration", {}).get("Rules", [])
            if each.get("ExpirationInDays") == {"Ref": parameter}
        ]
        enabled = [each["Prefix"] for each in rules if each["Status"] == "Enabled"]
        if enabled != prefixes:
            yield name
        if name == "ImagesBucket" and not all(
            "NoncurrentVersionExpiration" in each for each in rules
        ):
            yield f"{name}: versions that were overwritten or deleted stay"
    kept, expiring = (
        with_conditions(properties(template, "ImagesBucket"), asked)
        .get("LifecycleConfiguration", {})
        .get("Rules", [])
        for asked in (set[str](), {"ImagesExpire"})
    )
    if any("ExpirationInDays" in each for each in kept):
        yield "ImagesBucket: images expire although nobody asked"
    if not any(each.get("ExpiredObjectDeleteMarker") is True for each in expiring):
        yield "ImagesBucket: the names of what has expired stay"


def data_at_rest_is_under_the_data_key(template: Json) -> Faults:
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        rules = bucket.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [{}])
        default = rules[0].get("ServerSideEncryptionByDefault", {})
        if default != {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": DATA_KEY}:
            yield name
        if rules[0].get("BucketKeyEnabled") is not True:
            yield f"{name}: a call of KMS for each object"
    for name, table in of_type(template, "AWS::DynamoDB::Table").items():
        encryption = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": DATA_KEY}
        if table.get("SSESpecification") != encryption:
            yield name
    for resource_type, setting in (
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "KmsKeyId"),
        ("AWS::Lambda::Function", "KmsKeyArn"),
    ):
        for name, resource in of_type(template, resource_type).items():
            if resource.get(setting) != DATA_KEY:
                yield name


def the_key_rotates_and_stays(template: Json) -> Faults:
    for name, key in of_type(template, "AWS::KMS::Key").items():
        if key.get("EnableKeyRotation") is not True:
            yield f"{name}: does not rotate"
        resource = template["Resources"][name]
        kept = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        if kept != ("RetainExceptOnCreate", "Retain"):
            yield f"{name}: goes, and what it encrypted is noise"
        if resource.get("Condition") != "MakesKey":
            yield f"{name}: made beside a key of one's own"
    if template["Conditions"].get("MakesKey") != {"Fn::Equals": [{"Ref": "DataKeyArn"}, ""]}:
        yield "MakesKey"


def grants_on_the_key_are_for_services_alone(template: Json) -> Faults:
    for name, key in of_type(template, "AWS::KMS::Key").items():
        denied = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "kms:CreateGrant",
            "Resource": "*",
            "Condition": {
                "BoolIfExists": {
                    "kms:GrantIsForAWSResource": "false",
                    "aws:PrincipalIsAWSService": "false",
                }
            },
        }
        found = [without_sid(each) for each in key["KeyPolicy"]["Statement"]]
        if denied not in found:
            yield name


def no_service_is_a_confused_deputy(template: Json) -> Faults:
    """Each service principal acts for this account, and where it says for what, for this stack."""
    for name, statement in service_statements(template):
        service = text(statement["Principal"]["Service"])
        given = json.dumps(statement.get("Condition", {}))
        own_account = '"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}' in given
        if service.startswith("logs."):  # names the group in the encryption's context instead
            if "kms:EncryptionContext:aws:logs:arn" not in given or "AWS::AccountId" not in given:
                yield f"{name}: {service}"
        elif not own_account:
            yield f"{name}: {service} of any account"
        elif service not in WITHOUT_SOURCE_ARN and '"aws:SourceArn": ' not in given:
            yield f"{name}: {service} for any resource"
        for arn in source_arns(statement):
            if arn.endswith(":*") and service != "sagemaker.amazonaws.com":
                yield f"{name}: {arn}"


def only_tls_is_answered(template: Json) -> Faults:
    policies = [
        *of_type(template, "AWS::S3::BucketPolicy").values(),
        *of_type(template, "AWS::SQS::QueuePolicy").values(),
    ]
    closed = {
        text(resource)
        for policy in policies
        for statement in statements(policy)
        if statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement["Action"] in ("s3:*", "sqs:*")
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for resource in as_list(statement["Resource"])
    }
    for name in of_type(template, "AWS::S3::Bucket"):
        yield from {f"${{{name}.Arn}}", f"${{{name}.Arn}}/*"} - closed
    for name in of_type(template, "AWS::SQS::Queue"):
        yield from {f"${{{name}.Arn}}"} - closed


def images_are_versioned(template: Json) -> Faults:
    if properties(template, "ImagesBucket").get("VersioningConfiguration") != {"Status": "Enabled"}:
        yield "ImagesBucket"


def the_queue_hears_of_incoming_images_alone(template: Json) -> Faults:
    notifications = properties(template, "ImagesBucket").get("NotificationConfiguration", {})
    heard = {
        (each["Event"], text(each["Queue"]), text(each.get("Filter", {})))
        for each in notifications.get("QueueConfigurations", [])
    }
    prefix = text({"S3Key": {"Rules": [{"Name": "prefix", "Value": "incoming/"}]}})
    wanted = {
        (event, "${ImagesQueue.Arn}", prefix)
        for event in ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
    }
    yield from (str(each) for each in heard ^ wanted)


def the_bucket_waits_for_the_queues_policy(template: Json) -> Faults:
    # S3 sends a test message when it takes the notification: without permission, no bucket.
    if "ImagesQueuePolicy" not in as_list(template["Resources"]["ImagesBucket"].get("DependsOn")):
        yield "ImagesBucket does not depend on ImagesQueuePolicy"


def only_the_images_bucket_of_this_account_sends(template: Json) -> Faults:
    bucket_name = properties(template, "ImagesBucket")["BucketName"]["Fn::Sub"]
    bucket_arn = {"Fn::Sub": ["arn:${AWS::Partition}:s3:::" + bucket_name[0], bucket_name[1]]}
    for name, policy in of_type(template, "AWS::SQS::QueuePolicy").items():
        for statement in statements(policy):
            if statement["Effect"] != "Allow":
                continue
            condition = statement.get("Condition", {})
            if statement["Principal"] != {"Service": "s3.amazonaws.com"}:
                yield f"{name}: {statement['Principal']}"
            if statement["Action"] != "sqs:SendMessage":
                yield f"{name}: {statement['Action']}"
            if condition.get("ArnEquals") != {"aws:SourceArn": bucket_arn}:
                yield f"{name}: any bucket may send"
            if condition.get("StringEquals") != {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}:
                yield f"{name}: any account may send"


def failed_messages_become_dead_letters(template: Json) -> Faults:
    queue = properties(template, "ImagesQueue")
    redrive = queue.get("RedrivePolicy", {})
    if text(redrive.get("deadLetterTargetArn")) != "${DeadLetterQueue.Arn}":
        yield "ImagesQueue has no dead-letter queue"
    if redrive.get("maxReceiveCount", 0) < 3:
        yield "an image is given up after fewer than three tries"


def dead_letters_are_kept_for_14_days(template: Json) -> Faults:
    dead = properties(template, "DeadLetterQueue").get("MessageRetentionPeriod")
    if dead != 14 * DAY_SECONDS:
        yield f"{dead} seconds"
    # A dead letter keeps its first date: what it has waited before is missing afterwards.
    if properties(template, "ImagesQueue").get("MessageRetentionPeriod", 0) >= 14 * DAY_SECONDS:
        yield "a message may expire as it becomes a dead letter"


# ------------------------------------------------------------------------ functions
def visibility_outlasts_the_function(template: Json) -> Faults:
    visible_seconds = properties(template, "ImagesQueue").get("VisibilityTimeout", 30)
    timeout_seconds = properties(template, "ClassifyFunction")["Timeout"]
    if visible_seconds < VISIBILITY_TIMEOUTS * timeout_seconds:
        yield f"{visible_seconds} s for a function of {timeout_seconds} s"


def one_failed_image_does_not_repeat_its_batch(template: Json) -> Faults:
    if mapping(template).get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        yield "no partial batch response"


def a_batch_fits_one_endpoint_call(template: Json) -> Faults:
    spec = ImageSpec.from_json(bundled_spec())
    batch_size = mapping(template)["BatchSize"]
    body = encode_npy([bytes(spec.image_bytes)] * batch_size, spec)
    if len(body) > SERVERLESS_PAYLOAD_BYTES:
        yield f"{batch_size} images are {len(body)} bytes"


def the_function_knows_the_payload_limit(template: Json) -> Faults:
    for condition, limit in (
        ("Serverless", SERVERLESS_PAYLOAD_BYTES),
        ("OnInstances", INSTANCE_PAYLOAD_BYTES),
    ):
        told = with_conditions(environment(template, "ClassifyFunction"), {condition})
        if told.get("MAX_PAYLOAD_BYTES") != str(limit):
            yield f"{condition}: {told.get('MAX_PAYLOAD_BYTES')}"


def batches_are_gathered(template: Json) -> Faults:
    if mapping(template)["BatchSize"] > 10 and not mapping(template).get(
        "MaximumBatchingWindowInSeconds"
    ):
        yield "Lambda refuses more than 10 messages without a window"


def concurrency_is_bounded_as_the_endpoint_is(template: Json) -> Faults:
    bound = mapping(template).get("ScalingConfig", {}).get("MaximumConcurrency")
    variant = with_conditions(properties(template, "EndpointConfig"), {"Serverless"})[
        "ProductionVariants"
    ][0]
    if bound is None:
        yield "ClassifyFunction may run without bound"
    if variant["ServerlessConfig"]["MaxConcurrency"] != bound:
        yield "the endpoint takes another number of calls than the function makes"
    parameter = template["Parameters"]["ClassifyConcurrency"]
    if not 2 <= parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"] <= 200:
        yield "ClassifyConcurrency leaves the limits of Lambda (2) or of the endpoint (200)"


def executions_are_reserved_only_when_asked(template: Json) -> Faults:
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if "ReservedConcurrentExecutions" in with_conditions(function, set()):
            yield f"{name}: a new account has nothing to reserve"
        if "ReservedConcurrentExecutions" not in with_conditions(function, {"Reserves"}):
            yield f"{name}: has no bound of its own"
    if template["Parameters"]["ReserveConcurrency"]["Default"] != "no":
        yield "a new account cannot deploy"
    classify = with_conditions(properties(template, "ClassifyFunction"), {"Reserves"})
    bound = mapping(template).get("ScalingConfig", {}).get("MaximumConcurrency")
    if classify.get("ReservedConcurrentExecutions") != bound:
        yield "ClassifyFunction is throttled below what its queue may call"


def functions_can_live_in_a_vpc(template: Json) -> Faults:
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        inside = with_conditions(function, {"InVpc"}).get("VpcConfig")
        if inside != {
            "SubnetIds": {"Ref": "SubnetIds"},
            "SecurityGroupIds": {"Ref": "SecurityGroupIds"},
        }:
            yield name
        if "VpcConfig" in with_conditions(function, set()):
            yield f"{name}: in a VPC that nobody named"


def every_step_is_traced(template: Json) -> Faults:
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if function.get("TracingConfig") != {"Mode": "Active"}:
            yield name
    for name, machine in of_type(template, "AWS::StepFunctions::StateMachine").items():
        if machine.get("TracingConfiguration") != {"Enabled": True}:
            yield name


def functions_are_told_what_they_need(template: Json) -> Faults:
    wanted = {
        "ClassifyFunction": {
            "PREDICTIONS_TABLE": "${PredictionsTable}",
            "ENDPOINT_NAME": "${Endpoint.EndpointName}",
            "IMAGE_SPEC": "${PublishedModel.ImageSpec}",
            "MAX_PAYLOAD_BYTES": str(SERVERLESS_PAYLOAD_BYTES),
            "IMAGES_QUEUE_URL": "${ImagesQueue}",
            "DEAD_LETTER_QUEUE_URL": "${DeadLetterQueue}",
            "MAX_RECEIVES": str(
                properties(template, "ImagesQueue").get("RedrivePolicy", {}).get("maxReceiveCount")
            ),
            "POWERTOOLS_SERVICE_NAME": "classify",
            "POWERTOOLS_METRICS_NAMESPACE": "imagedrop",
        },
        "PublishModelFunction": {"MODELS_BUCKET": "${ModelsBucket}"},
        "BulkStepsFunction": {
            "WORK_BUCKET": "${WorkBucket}",
            "BULK_CONCURRENCY": "${BulkConcurrency}",
            "ENDPOINT_NAME": "${Endpoint.EndpointName}",
            "POWERTOOLS_SERVICE_NAME": "bulk-steps",
        },
        "BulkChunksFunction": {
            "WORK_BUCKET": "${WorkBucket}",
            "PREDICTIONS_TABLE": "${PredictionsTable}",
            "POWERTOOLS_SERVICE_NAME": "bulk-chunks",
        },
        "ApiFunction": {
            "PREDICTIONS_TABLE": "${PredictionsTable}",
            "ENDPOINT_NAME": "${Endpoint.EndpointName}",
            "POWERTOOLS_SERVICE_NAME": "api",
        },
        "ProposeModelFunction": {
            "MODELS_BUCKET": "${ModelsBucket}",
            "SERVING_IMAGE": text(properties(template, "Model")["PrimaryContainer"]["Image"]),
            "ALARM_TOPIC_ARN": "",
            "POWERTOOLS_SERVICE_NAME": "propose-model",
        },
    }
    for name in of_type(template, "AWS::Lambda::Function"):
        told = with_conditions(environment(template, name), {"Serverless"})
        if {key: text(value) for key, value in told.items()} != wanted[name]:
            yield f"{name}: {told}"


def handlers_exist(template: Json) -> Faults:
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        module, _, attribute = function["Handler"].rpartition(".")
        path = PROJECT / "functions" / (module.replace(".", "/") + ".py")
        body = ast.parse(path.read_text()).body if path.exists() else []
        if not any(isinstance(each, ast.FunctionDef) and each.name == attribute for each in body):
            yield f"{name}: {function['Handler']}"


def the_newest_python_is_the_default(template: Json) -> Faults:
    parameter = template["Parameters"]["PythonRuntime"]
    if parameter["AllowedValues"] != [f"python3.{minor}" for minor in (11, 12, 13, 14)]:
        yield str(parameter["AllowedValues"])
    if parameter["Default"] != parameter["AllowedValues"][-1]:
        yield str(parameter["Default"])
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if function["Runtime"] != {"Ref": "PythonRuntime"}:
            yield name


# ------------------------------------------------------------------------ permissions
def every_function_has_a_role_of_its_own(template: Json) -> Faults:
    roles = [text(each["Role"]) for each in of_type(template, "AWS::Lambda::Function").values()]
    yield from {role for role in roles if roles.count(role) > 1}
    yield from (role for role in roles if role == "${EndpointRole.Arn}")


def roles_may_do_exactly_what_is_listed(template: Json) -> Faults:
    for name, role in of_type(template, "AWS::IAM::Role").items():
        trust = {
            f"{statement['Principal']['Service']}"
            for statement in role["AssumeRolePolicyDocument"]["Statement"]
        }
        may = trust | permissions(role.get("Policies", []))
        yield from (f"{name}: {each}" for each in may ^ MAY.get(name, set()))
    for name, policy in of_type(template, "AWS::IAM::ManagedPolicy").items():
        yield from (f"{name}: {each}" for each in permissions([policy]) ^ MAY.get(name, set()))
    yield from of_type(template, "AWS::IAM::Policy")


def roles_share_the_stacks_own_policies_alone(template: Json) -> Faults:
    # AWS's own ones speak of every queue, every log group or every bucket of the account.
    functions = {text(each["Role"]) for each in of_type(template, "AWS::Lambda::Function").values()}
    for name, role in of_type(template, "AWS::IAM::Role").items():
        wanted = {"${DataKeyPolicy}"}
        if f"${{{name}.Arn}}" in functions:
            wanted.add("${FunctionPolicy}")
        have = {text(each) for each in role.get("ManagedPolicyArns", [])}
        yield from (f"{name}: {each}" for each in have ^ wanted)
    for name, policy in of_type(template, "AWS::IAM::ManagedPolicy").items():
        if {"Roles", "Users", "Groups"} & set(policy):
            yield f"{name}: given to others"


def code_in_a_vpc_makes_no_network_interfaces(template: Json) -> Faults:
    code = f"{HERE.format('lambda')}:function:${{AWS::StackName}}-*"
    denied = {
        "Effect": "Deny",
        "Action": "ec2:*",
        "Resource": "*",
        "Condition": {"ArnLike": {"lambda:SourceFunctionArn": {"Fn::Sub": code}}},
    }
    if denied not in statements(properties(template, "FunctionPolicy")):
        yield "what Lambda may do for a function, its code may do too"


def no_permission_is_a_wildcard(template: Json) -> Faults:
    policies = [
        *of_type(template, "AWS::IAM::ManagedPolicy").items(),
        *(
            (name, policy)
            for name, role in of_type(template, "AWS::IAM::Role").items()
            for policy in role.get("Policies", [])
        ),
    ]
    for name, policy in policies:
        for statement in statements(policy):
            if statement["Effect"] == "Allow":
                actions = set(as_list(statement["Action"]))
                yield from (f"{name}: {action}" for action in actions if "*" in action)
                everywhere = "*" in as_list(statement["Resource"])
                if everywhere and not actions <= WITHOUT_RESOURCES:
                    yield f"{name}: {sorted(actions)} on everything"


def nobody_writes_where_images_are_dropped(template: Json) -> Faults:
    # Who classifies an image and can write one could feed itself for ever.
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in statements(policy):
                writes = any(
                    action.startswith(("s3:Put", "s3:Delete", "s3:*", "s3:Restore"))
                    for action in as_list(statement["Action"])
                )
                if writes and "ImagesBucket" in str(statement["Resource"]):
                    yield f"{name}: {statement['Action']}"


def only_this_stacks_api_and_rule_call_a_function(template: Json) -> Faults:
    rules = {f"${{{name}.Arn}}" for name in of_type(template, "AWS::Events::Rule")}
    for name, permission_given in of_type(template, "AWS::Lambda::Permission").items():
        source = text(permission_given.get("SourceArn"))
        if "HttpApi" not in source and source not in rules:
            yield name


# ------------------------------------------------------------------------ model and endpoint
def the_default_model_is_in_the_bundle(_template: Json) -> Faults:
    if not publish_model.ARCHIVE_PATH.is_relative_to(PROJECT / "functions"):
        yield "the archive is not in the CodeUri"
    if not publish_model.ARCHIVE_PATH.exists():
        yield f"no {publish_model.ARCHIVE_PATH}"


def a_new_bundle_publishes_its_model(template: Json) -> Faults:
    resource = properties(template, "PublishedModel")
    versions = set(of_type(template, "AWS::Lambda::Version"))
    if not versions & set(references(resource.get("CodeVersion"))):
        yield "PublishedModel does not hear of another bundle"
    model = properties(template, "Model")["PrimaryContainer"]
    if text(model["ModelDataUrl"]) != "${PublishedModel.ModelDataUrl}":
        yield "Model is not the published one"


def no_parameter_takes_a_promoted_model_back(template: Json) -> Faults:
    """Whatever replaces the endpoint's configuration asks first which model is promoted."""
    asked_for = set(references(properties(template, "PublishedModel")))
    for name in ("Model", "EndpointConfig"):
        for parameter in references(properties(template, name)):
            if parameter in template["Parameters"] and parameter not in asked_for:
                yield f"{name}: another {parameter} brings the model of the last deployment back"


def a_promotion_is_a_persons_word(template: Json) -> Faults:
    promoting = {"sagemaker:UpdateEndpoint", "sagemaker:UpdateModelPackage"}
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in statements(policy):
                yield from (
                    f"{name}: {action}" for action in promoting & set(as_list(statement["Action"]))
                )
                writes = {"s3:PutObject", "s3:DeleteObject"} & set(as_list(statement["Action"]))
                places = {text(each) for each in as_list(statement["Resource"])}
                if writes and places & {
                    f"${{ModelsBucket.Arn}}/{each}" for each in ("*", "models/*")
                }:
                    yield f"{name} may write the list of promotions"


def only_this_stacks_completed_trainings_are_proposed(template: Json) -> Faults:
    (rule,) = of_type(template, "AWS::Events::Rule").values()
    pattern = rule["EventPattern"]
    if (pattern["source"], pattern["detail-type"]) != (
        ["aws.sagemaker"],
        ["SageMaker Training Job State Change"],
    ):
        yield "another event"
    if pattern["detail"].get("TrainingJobStatus") != ["Completed"]:
        yield "jobs that made no model"
    (path,) = pattern["detail"].get("OutputDataConfig", {}).get("S3OutputPath", [{}])
    if text(path.get("prefix", "")) != "s3://${ModelsBucket}/training/jobs":
        yield "jobs of others"


def a_silent_custom_resource_fails_soon(template: Json) -> Faults:
    timeout_seconds = properties(template, "PublishedModel").get("ServiceTimeout", 3600)
    function_seconds = properties(template, "PublishModelFunction")["Timeout"]
    if not function_seconds < timeout_seconds <= 300:
        yield f"{timeout_seconds} s"


def the_endpoint_is_serverless_or_instances(template: Json) -> Faults:
    for condition, has in (
        ("Serverless", {"ServerlessConfig"}),
        ("OnInstances", {"InstanceType", "InitialInstanceCount"}),
    ):
        config = with_conditions(properties(template, "EndpointConfig"), {condition})
        (variant,) = config["ProductionVariants"]
        if set(variant) - {"VariantName", "ModelName", "InitialVariantWeight"} != has:
            yield f"{condition}: {sorted(variant)}"
    if template["Parameters"]["EndpointMode"]["Default"] != "serverless":
        yield "serverless is not the default"


def another_mode_is_another_endpoint(template: Json) -> Faults:
    # UpdateEndpoint refuses to turn an endpoint on instances into a serverless one.
    if "${EndpointMode}" not in text(properties(template, "Endpoint")["EndpointName"]):
        yield "the endpoint's name does not hold the mode"


def names_fit_the_longest_stack_name(template: Json) -> Faults:
    longest_stack_name = "s" * 39  # as the template's description says
    for name, given in (
        ("ImagesBucket", properties(template, "ImagesBucket")["BucketName"]),
        ("Endpoint", properties(template, "Endpoint")["EndpointName"]),
    ):
        full = (
            given["Fn::Sub"][0]
            .replace("${AWS::StackName}", longest_stack_name)
            .replace("${EndpointMode}", "serverless")
            .replace("${StackSuffix}", "0" * 12)
        )
        if len(full) > 63 or "$" in full:
            yield f"{name}: {full}"
    if f"at most {len(longest_stack_name)} characters" not in template["Description"]:
        yield "the description tells another length"


def only_instances_are_scaled(template: Json) -> Faults:
    for name, resource in template["Resources"].items():
        scaled = resource["Type"].startswith("AWS::ApplicationAutoScaling::")
        if scaled and resource.get("Condition") != "OnInstances":
            yield name
    if not of_type(template, "AWS::ApplicationAutoScaling::ScalingPolicy"):
        yield "no scaling policy"


def a_model_of_ones_own_image_is_isolated(template: Json) -> Faults:
    # Serverless endpoints cannot be, and AWS's Ray container fetches packages as it starts.
    model = properties(template, "Model")
    if with_conditions(model, {"ModelIsolated"}).get("EnableNetworkIsolation") is not True:
        yield "never isolated"
    if "EnableNetworkIsolation" in with_conditions(model, set()):
        yield "isolated where it cannot be"
    if with_conditions(model, {"ModelInVpc"}).get("VpcConfig") != {
        "Subnets": {"Ref": "SubnetIds"},
        "SecurityGroupIds": {"Ref": "SecurityGroupIds"},
    }:
        yield "not in the VPC"
    on_instances = {"Condition": "OnInstances"}
    for condition, other in (
        ("ModelInVpc", {"Condition": "InVpc"}),
        (
            "ModelIsolated",
            {"Fn::Not": [{"Fn::Equals": [{"Ref": "ServingImageRepository"}, "ray"]}]},
        ),
    ):
        if template["Conditions"].get(condition) != {"Fn::And": [on_instances, other]}:
            yield condition


# ------------------------------------------------------------------------ table and API
def the_table_is_as_the_pipeline_reads_it(template: Json) -> Faults:
    table = properties(template, "PredictionsTable")
    if table["KeySchema"] != [{"AttributeName": "image", "KeyType": "HASH"}]:
        yield "key"
    indexes = {
        index["IndexName"]: [
            *(key["AttributeName"] for key in index["KeySchema"]),
            index["Projection"]["ProjectionType"],
        ]
        for index in table.get("GlobalSecondaryIndexes", [])
    }
    if indexes != {
        "by_time": ["time_shard", "recency", "ALL"],
        "by_label": ["label_shard", "recency", "ALL"],
    }:
        yield str(indexes)
    if "TimeToLiveSpecification" in table:
        yield "predictions would vanish"


def the_table_grows_and_can_be_restored(template: Json) -> Faults:
    table = properties(template, "PredictionsTable")
    if table.get("BillingMode") != "PAY_PER_REQUEST":
        yield "not on demand"
    if table.get("PointInTimeRecoverySpecification") != {"PointInTimeRecoveryEnabled": True}:
        yield "no point-in-time recovery"


def data_outlives_the_stack(template: Json) -> Faults:
    kept = {
        "AWS::S3::Bucket": "RetainExceptOnCreate",
        # A rollback could not delete what is protected.
        "AWS::DynamoDB::Table": "Retain",
    }
    for name, resource in template["Resources"].items():
        if resource["Type"] not in kept:
            continue
        if resource.get("DeletionPolicy") != kept[resource["Type"]]:
            yield f"{name}: deleted with the stack, or in the way of a failed first deployment"
        if resource.get("UpdateReplacePolicy") != "Retain":
            yield f"{name}: deleted when it is replaced"


def the_table_is_not_deleted_by_hand(template: Json) -> Faults:
    for name, table in of_type(template, "AWS::DynamoDB::Table").items():
        if table.get("DeletionProtectionEnabled") is not True:
            yield name


def every_route_asks_for_credentials(template: Json) -> Faults:
    routes = 0
    for name, api in of_type(template, "AWS::ApiGatewayV2::Api").items():
        for conditions, scheme in ((set[str](), "AWS_IAM"), ({"ByToken"}, "JWT")):
            body = with_conditions(api["Body"], conditions)
            for path, methods in body["paths"].items():
                for method, operation in methods.items():
                    routes += 1
                    if operation.get("security") != [{scheme: []}]:
                        yield f"{name}: {method} {path}"
        schemes = body.get("components", {}).get("securitySchemes", {})
        if schemes.get("AWS_IAM", {}).get("x-amazon-apigateway-authtype") != "awsSigv4":
            yield f"{name}: AWS_IAM is not what it says"
        if schemes.get("JWT", {}).get("x-amazon-apigateway-authorizer") != {
            "type": "jwt",
            "identitySource": "$request.header.Authorization",
            "jwtConfiguration": {
                "issuer": {"Ref": "JwtIssuer"},
                "audience": [{"Ref": "JwtAudience"}],
            },
        }:
            yield f"{name}: JWT is not what it says"
    if routes == 0:
        yield "no routes"


def credentials_are_the_default_and_tokens_name_their_audience(template: Json) -> Faults:
    if template["Parameters"]["JwtIssuer"]["Default"] != "":
        yield "tokens of somebody open the API by default"
    if template["Conditions"].get("ByToken") != {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "JwtIssuer"}, ""]}]
    }:
        yield "ByToken"
    no_issuer = {"Fn::Equals": [{"Ref": "JwtIssuer"}, ""]}
    audience = {"Fn::Not": [{"Fn::Equals": [{"Ref": "JwtAudience"}, ""]}]}
    asserted = [
        assertion["Assert"]
        for rule in template.get("Rules", {}).values()
        for assertion in rule["Assertions"]
    ]
    if {"Fn::Or": [no_issuer, audience]} not in asserted:
        yield "tokens for anybody's audience"


def the_api_has_its_routes_alone(template: Json) -> Faults:
    wanted = {
        ("/predictions", "get"),
        ("/predictions/{id}", "get"),
        ("/labels", "get"),
        ("/health", "get"),
    }
    for api in of_type(template, "AWS::ApiGatewayV2::Api").values():
        paths = api["Body"]["paths"]
        have = {(path, method) for path, methods in paths.items() for method in methods}
        yield from (str(each) for each in have ^ wanted)


def no_other_site_may_call_the_api(template: Json) -> Faults:
    for name, api in of_type(template, "AWS::ApiGatewayV2::Api").items():
        cors = api.get("CorsConfiguration", api["Body"].get("x-amazon-apigateway-cors"))
        if cors is not None:
            yield f"{name}: {cors}"


def the_api_is_throttled(template: Json) -> Faults:
    for name, stage in of_type(template, "AWS::ApiGatewayV2::Stage").items():
        settings = stage.get("DefaultRouteSettings", {})
        for setting in ("ThrottlingRateLimit", "ThrottlingBurstLimit"):
            if not 0 < settings.get(setting, 0) <= 1000:
                yield f"{name}: {setting}"


def the_api_writes_access_logs(template: Json) -> Faults:
    for name, stage in of_type(template, "AWS::ApiGatewayV2::Stage").items():
        if text(stage.get("AccessLogSettings", {}).get("DestinationArn")) != "${ApiAccessLogs.Arn}":
            yield name


# ------------------------------------------------------------------------ watching it
def every_log_group_forgets(template: Json) -> Faults:
    for name, group in of_type(template, "AWS::Logs::LogGroup").items():
        if not 14 <= group.get("RetentionInDays", 0) <= 365:
            yield name


def every_function_logs_to_a_group_of_the_stack(template: Json) -> Faults:
    groups = [
        text(function.get("LoggingConfig", {}).get("LogGroup"))
        for function in of_type(template, "AWS::Lambda::Function").values()
    ]
    ours = {f"${{{name}}}" for name in of_type(template, "AWS::Logs::LogGroup")}
    yield from (group for group in groups if group not in ours or groups.count(group) > 1)
    name = properties(template, "Endpoint")["EndpointName"]["Fn::Sub"]
    group = properties(template, "EndpointLogs")["LogGroupName"]["Fn::Sub"]
    if group != ["/aws/sagemaker/Endpoints/" + name[0], name[1]]:
        yield "the endpoint logs elsewhere"


def somebody_can_hear_what_goes_wrong(template: Json) -> Faults:
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    watched = {
        (each["MetricName"], text(each["Dimensions"][0]["Value"])) for each in alarms.values()
    }
    wanted = {
        ("ApproximateNumberOfMessagesVisible", "${DeadLetterQueue.QueueName}"),
        ("ApproximateAgeOfOldestMessage", "${ImagesQueue.QueueName}"),
        ("Errors", "${ClassifyFunction}"),
        ("Errors", "${ApiFunction}"),
        ("Errors", "${ProposeModelFunction}"),
        ("Invocation5XXErrors", "${Endpoint.EndpointName}"),
        ("ExecutionsFailed", "${BulkStateMachine}"),
    }
    yield from (str(each) for each in wanted - watched)
    for name, alarm in alarms.items():
        if with_conditions(alarm, {"SomebodyHears"}).get("AlarmActions") != [{"Ref": "AlarmTopic"}]:
            yield f"{name} tells nobody"
        if "AlarmActions" in with_conditions(alarm, set()):
            yield f"{name} tells a topic that is not there"
    if template["Resources"]["AlarmTopic"].get("Condition") != "SomebodyHears":
        yield "AlarmTopic is there for nobody"


def runaway_costs_are_heard_of(template: Json) -> Faults:
    heard = {
        (each["Notification"]["NotificationType"], text(subscriber["Address"]))
        for budget in of_type(template, "AWS::Budgets::Budget").values()
        if budget["Budget"]["BudgetLimit"]["Amount"] == {"Ref": "MonthlyBudgetDollars"}
        for each in budget["NotificationsWithSubscribers"]
        if each["Notification"]["Threshold"] <= 100
        for subscriber in each["Subscribers"]
    }
    wanted = {("ACTUAL", "${AlarmEmail}"), ("FORECASTED", "${AlarmEmail}")}
    yield from (str(each) for each in wanted - heard)


def outputs_are_names_and_addresses_alone(template: Json) -> Faults:
    outputs = {name: text(each["Value"]) for name, each in template["Outputs"].items()}
    yield from (f"{name}: {value}" for name, value in outputs.items() ^ OUTPUTS.items())


# ------------------------------------------------------------------------ what checks share
def mapping(template: Json) -> Json:
    (found,) = of_type(template, "AWS::Lambda::EventSourceMapping").values()
    return found


def environment(template: Json, function: str) -> Json:
    found: Json = properties(template, function).get("Environment", {}).get("Variables", {})
    return found


def permissions(policies: list[Json]) -> set[str]:
    return {
        permission(action, resource, statement.get("Condition"))
        for policy in policies
        for statement in statements(policy)
        if statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def service_statements(template: Json) -> Iterator[tuple[str, Json]]:
    """Whatever lets a service in: trust, queue, bucket and key policies."""
    for name, resource in template["Resources"].items():
        for document in ("AssumeRolePolicyDocument", "PolicyDocument", "KeyPolicy"):
            for statement in resource.get("Properties", {}).get(document, {}).get("Statement", []):
                principal = statement.get("Principal")
                if isinstance(principal, dict) and "Service" in principal:
                    yield name, statement


def source_arns(statement: Json) -> list[str]:
    condition = statement.get("Condition", {})
    given = [
        *as_list(condition.get("ArnLike", {}).get("aws:SourceArn", [])),
        *as_list(condition.get("ArnEquals", {}).get("aws:SourceArn", [])),
    ]
    return [text(each) for each in given]


def without_sid(statement: Json) -> Json:
    return {key: value for key, value in statement.items() if key != "Sid"}


def permission(action: str, resource: object, condition: object) -> str:
    return f"{action} on {text(resource)}" + (f" if {text(condition)}" if condition else "")


def bundled_spec() -> Json:
    spec: Json = check_archive(publish_model.ARCHIVE_PATH).card.image_spec.to_json()
    return spec


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        buckets_are_private,
        buckets_forget_unfinished_uploads,
        images_and_work_files_expire_when_told,
        data_at_rest_is_under_the_data_key,
        the_key_rotates_and_stays,
        grants_on_the_key_are_for_services_alone,
        no_service_is_a_confused_deputy,
        only_tls_is_answered,
        images_are_versioned,
        the_queue_hears_of_incoming_images_alone,
        the_bucket_waits_for_the_queues_policy,
        only_the_images_bucket_of_this_account_sends,
        failed_messages_become_dead_letters,
        dead_letters_are_kept_for_14_days,
        visibility_outlasts_the_function,
        one_failed_image_does_not_repeat_its_batch,
        a_batch_fits_one_endpoint_call,
        the_function_knows_the_payload_limit,
        batches_are_gathered,
        concurrency_is_bounded_as_the_endpoint_is,
        executions_are_reserved_only_when_asked,
        functions_can_live_in_a_vpc,
        every_step_is_traced,
        functions_are_told_what_they_need,
        handlers_exist,
        the_newest_python_is_the_default,
        every_function_has_a_role_of_its_own,
        roles_may_do_exactly_what_is_listed,
        roles_share_the_stacks_own_policies_alone,
        code_in_a_vpc_makes_no_network_interfaces,
        no_permission_is_a_wildcard,
        nobody_writes_where_images_are_dropped,
        only_this_stacks_api_and_rule_call_a_function,
        the_default_model_is_in_the_bundle,
        a_new_bundle_publishes_its_model,
        no_parameter_takes_a_promoted_model_back,
        a_promotion_is_a_persons_word,
        only_this_stacks_completed_trainings_are_proposed,
        a_silent_custom_resource_fails_soon,
        the_endpoint_is_serverless_or_instances,
        a_model_of_ones_own_image_is_isolated,
        another_mode_is_another_endpoint,
        names_fit_the_longest_stack_name,
        only_instances_are_scaled,
        the_table_is_as_the_pipeline_reads_it,
        the_table_grows_and_can_be_restored,
        data_outlives_the_stack,
        the_table_is_not_deleted_by_hand,
        every_route_asks_for_credentials,
        credentials_are_the_default_and_tokens_name_their_audience,
        the_api_has_its_routes_alone,
        no_other_site_may_call_the_api,
        the_api_is_throttled,
        the_api_writes_access_logs,
        every_log_group_forgets,
        every_function_logs_to_a_group_of_the_stack,
        somebody_can_hear_what_goes_wrong,
        runaway_costs_are_heard_of,
        outputs_are_names_and_addresses_alone,
    )
}
