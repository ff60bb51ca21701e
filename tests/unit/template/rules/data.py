"""Rules about resources that hold data: buckets, queues, table and key."""

from __future__ import annotations

import json

from tests.unit.template.rules.registry import ALL_KEYS, DATA_KEY, Faults, rule, value
from tools.paths import PROJECT
from tools.template import Json, as_list, of_type, properties, statements, text, with_conditions

DAY_SECONDS = 86_400
# It goes with the stack: the answers are in the other table.
REPLACEABLE = {"JournalTable"}
PRIVATE = (
    "BlockPublicAcls",
    "BlockPublicPolicy",
    "IgnorePublicAcls",
    "RestrictPublicBuckets",
)
INDEXES = {
    "by_time": ["time_shard", "recency", "ALL"],
    "by_label": ["label_shard", "recency", "ALL"],
    "by_confidence": ["time_shard", "sureness", "ALL"],
}


@rule
def buckets_are_private(template: Json) -> Faults:
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        if bucket.get("PublicAccessBlockConfiguration") != dict.fromkeys(PRIVATE, True):
            yield f"{name}: public access is possible"
        rules = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        if bucket.get("OwnershipControls") != rules:
            yield f"{name}: access control lists are possible"


@rule
def unfinished_uploads_expire(template: Json) -> Faults:
    for name in of_type(template, "AWS::S3::Bucket"):
        for conditions in (set[str](), {"ImagesExpire"}):
            rules = _lifecycle(template, name, conditions)
            if not any("AbortIncompleteMultipartUpload" in each for each in rules):
                yield f"{name}, {conditions or 'unconditionally'}"


@rule
def images_and_work_files_expire_when_asked(template: Json) -> Faults:
    """Originals by a parameter, with their older versions; work files always."""
    kept = _lifecycle(template, "ImagesBucket", set())
    if any("ExpirationInDays" in each for each in kept):
        yield "ImagesBucket: images expire although no parameter says so"
    rules = _lifecycle(template, "ImagesBucket", {"ImagesExpire"})
    expiring = [each for each in rules if _expires(each, {"Ref": "ImageRetentionDays"})]
    if [each["Prefix"] for each in expiring] != ["incoming/", "folders/"]:
        yield "ImagesBucket: images stay"
    if not all("NoncurrentVersionExpiration" in each for each in expiring):
        yield "ImagesBucket: older versions stay"
    if not any(each.get("ExpiredObjectDeleteMarker") is True for each in rules):
        yield "ImagesBucket: the names of expired images stay"
    work = _lifecycle(template, "WorkBucket", set())
    days = {"Fn::FindInMap": ["Limits", "Bulk", "WorkRetentionDays"]}
    if [each["Prefix"] for each in work if _expires(each, days)] != ["work/"]:
        yield "WorkBucket: work files stay"
    if not 1 <= template["Mappings"]["Limits"]["Bulk"]["WorkRetentionDays"] <= 30:
        yield "WorkBucket: work files stay for long"


def _lifecycle(template: Json, bucket: str, true: set[str]) -> list[Json]:
    found: list[Json] = with_conditions(
        value(template, f"{bucket}.LifecycleConfiguration.Rules", []), true
    )
    return found


def _expires(lifecycle_rule: Json, days: Json) -> bool:
    return lifecycle_rule.get("ExpirationInDays") == days and lifecycle_rule["Status"] == "Enabled"


@rule
def data_at_rest_is_under_the_data_key(template: Json) -> Faults:
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": DATA_KEY}
        encryption = {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": default}
        if bucket.get("BucketEncryption") != {"ServerSideEncryptionConfiguration": [encryption]}:
            yield name
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
        resources = of_type(template, resource_type).items()
        yield from (name for name, each in resources if each.get(setting) != DATA_KEY)


@rule
def the_key_rotates_and_stays(template: Json) -> Faults:
    for name, key in of_type(template, "AWS::KMS::Key").items():
        resource = template["Resources"][name]
        if key.get("EnableKeyRotation") is not True:
            yield f"{name}: does not rotate"
        kept = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        if kept != ("RetainExceptOnCreate", "Retain"):
            yield f"{name}: is deleted, and kept data become unreadable"
        if resource.get("Condition") != "MakesKey":
            yield f"{name}: made although a parameter names a key"
    if template["Conditions"].get("MakesKey") != {"Fn::Equals": [{"Ref": "DataKeyArns"}, ""]}:
        yield "MakesKey"


@rule
def former_keys_still_decrypt(template: Json) -> Faults:
    every_key = {"Fn::If": ["MakesKey", {"Fn::GetAtt": ["DataKey", "Arn"]}, ALL_KEYS]}
    for name in ("DataKeyPolicy", "FunctionBoundary"):
        readable = [
            each["Resource"]
            for each in properties(template, name)["PolicyDocument"]["Statement"]
            if "kms:Decrypt" in as_list(each.get("Action", []))
        ]
        if every_key not in readable:
            yield f"{name}: what a former key encrypted is unreadable"


@rule
def jobs_encrypt_their_outputs_with_the_data_key(template: Json) -> Faults:
    """SageMaker would take S3's own key, whatever the bucket's default is."""
    definition = json.loads((PROJECT / "bulk.asl.json").read_text())
    transform = definition["States"]["AtOnce"]["Branches"][1]["States"]["Transform"]
    output = transform["Parameters"]["TransformOutput"]
    given = value(template, "BulkStateMachine.DefinitionSubstitutions", {}).get("DataKeyArn")
    if output.get("KmsKeyId") != "${DataKeyArn}" or given != DATA_KEY:
        yield "outputs of transform jobs"
    if template["Outputs"].get("DataKeyArn", {}).get("Value") != DATA_KEY:
        yield "outputs of training jobs: the key is not an output of the stack"
    for role, actions in (
        ("EndpointRole", {"kms:DescribeKey", "kms:Encrypt"}),
        ("TrainingRole", {"kms:DescribeKey", "kms:Encrypt", "kms:CreateGrant"}),
    ):
        allowed = {
            action
            for policy in properties(template, role)["Policies"]
            for each in policy["PolicyDocument"]["Statement"]
            if each.get("Resource") == DATA_KEY
            for action in as_list(each["Action"])
        }
        if not actions <= allowed:
            yield f"{role} may not use the key"


@rule
def only_tls_is_answered(template: Json) -> Faults:
    policies = [
        *of_type(template, "AWS::S3::BucketPolicy").values(),
        *of_type(template, "AWS::SQS::QueuePolicy").values(),
    ]
    without_tls = {"Bool": {"aws:SecureTransport": "false"}}
    closed = {
        text(resource)
        for policy in policies
        for each in statements(policy)
        if (each["Effect"], each["Principal"]) == ("Deny", "*")
        and each["Action"] in ("s3:*", "sqs:*")
        and each["Condition"] == without_tls
        for resource in as_list(each["Resource"])
    }
    for name in of_type(template, "AWS::S3::Bucket"):
        yield from {f"${{{name}.Arn}}", f"${{{name}.Arn}}/*"} - closed
    for name in of_type(template, "AWS::SQS::Queue"):
        yield from {f"${{{name}.Arn}}"} - closed


@rule
def images_are_versioned(template: Json) -> Faults:
    if value(template, "ImagesBucket.VersioningConfiguration.Status") != "Enabled":
        yield "ImagesBucket"


@rule
def the_queue_receives_events_of_incoming_images_only(template: Json) -> Faults:
    configured = value(template, "ImagesBucket.NotificationConfiguration.QueueConfigurations", [])
    events = {
        (each["Event"], text(each["Queue"]), text(each.get("Filter", {}))) for each in configured
    }
    prefix = text({"S3Key": {"Rules": [{"Name": "prefix", "Value": "incoming/"}]}})
    wanted = {
        (event, "${ImagesQueue.Arn}", prefix)
        for event in ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
    }
    yield from (str(each) for each in events ^ wanted)


@rule
def the_bucket_waits_for_the_queues_policy(template: Json) -> Faults:
    # S3 sends a test message when it takes the notification: without permission, no bucket.
    if "ImagesQueuePolicy" not in as_list(template["Resources"]["ImagesBucket"].get("DependsOn")):
        yield "ImagesBucket does not depend on ImagesQueuePolicy"


@rule
def only_the_images_bucket_of_this_account_sends(template: Json) -> Faults:
    bucket_name = value(template, "ImagesBucket.BucketName.Fn::Sub")
    bucket_arn = {"Fn::Sub": ["arn:${AWS::Partition}:s3:::" + bucket_name[0], bucket_name[1]]}
    wanted = {
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
            "ArnEquals": {"aws:SourceArn": bucket_arn},
        },
    }
    for name, policy in of_type(template, "AWS::SQS::QueuePolicy").items():
        for each in statements(policy):
            if each["Effect"] == "Allow" and {key: each.get(key) for key in wanted} != wanted:
                yield f"{name}: {each}"


@rule
def failed_messages_become_dead_letters(template: Json) -> Faults:
    redrive = value(template, "ImagesQueue.RedrivePolicy", {})
    if text(redrive.get("deadLetterTargetArn")) != "${DeadLetterQueue.Arn}":
        yield "ImagesQueue has no dead-letter queue"
    receives = redrive.get("maxReceiveCount", 0)
    if receives < 3:
        yield "an image has fewer than three tries"
    if value(template, "ClassifyFunction.Environment.Variables.MAX_RECEIVES") != str(receives):
        yield "ClassifyFunction does not know the last try"


@rule
def dead_letters_are_kept_for_14_days(template: Json) -> Faults:
    dead = value(template, "DeadLetterQueue.MessageRetentionPeriod")
    if dead != 14 * DAY_SECONDS:
        yield f"{dead} seconds"
    # A dead letter keeps its first date: the time before counts.
    if value(template, "ImagesQueue.MessageRetentionPeriod", 0) >= 14 * DAY_SECONDS:
        yield "a message may expire as it becomes a dead letter"


@rule
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
    if indexes != INDEXES:
        yield str(indexes)
    if "TimeToLiveSpecification" in table:
        yield "predictions would expire"


@rule
def the_table_grows_and_can_be_restored(template: Json) -> Faults:
    if value(template, "PredictionsTable.BillingMode") != "PAY_PER_REQUEST":
        yield "not on demand"
    recovery = value(template, "PredictionsTable.PointInTimeRecoverySpecification")
    if recovery != {"PointInTimeRecoveryEnabled": True}:
        yield "no point-in-time recovery"


@rule
def data_outlives_the_stack(template: Json) -> Faults:
    # A rollback could not delete a protected table.
    kept = {"AWS::S3::Bucket": "RetainExceptOnCreate", "AWS::DynamoDB::Table": "Retain"}
    for name, resource in template["Resources"].items():
        policy = None if name in REPLACEABLE else kept.get(resource["Type"])
        if policy and resource.get("DeletionPolicy") != policy:
            yield f"{name}: deleted with the stack, or in the way after a failed first deployment"
        if policy and resource.get("UpdateReplacePolicy") != "Retain":
            yield f"{name}: deleted when it is replaced"


@rule
def the_table_is_not_deleted_by_hand(template: Json) -> Faults:
    for name, table in of_type(template, "AWS::DynamoDB::Table").items():
        if name not in REPLACEABLE and table.get("DeletionProtectionEnabled") is not True:
            yield name


@rule
def changes_are_counted_by_shard(template: Json) -> Faults:
    """Without a window an event does not name its shard, and nothing could be counted once."""
    stream = {"Fn::GetAtt": ["PredictionsTable", "StreamArn"]}
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping").values()
    readers = [each for each in mappings if each["EventSourceArn"] == stream]
    if len(readers) > 2:
        yield "DynamoDB throttles a stream that more than two read"
    found = [each for each in readers if each["FunctionName"] == {"Ref": "ChangesFunction"}]
    if not all(each.get("TumblingWindowInSeconds") for each in found) or len(found) != 1:
        yield "a change would be counted twice"
    if any(each.get("ParallelizationFactor", 1) != 1 for each in found):
        yield "Lambda has no windows for a shard that is read in parallel"
    # Its labels and the few other names must fit an update expression of 4 KB.
    if any(each.get("BatchSize", 100) > 100 for each in found):
        yield "a batch has more labels than one update takes"
    kept = properties(template, "PredictionsTable").get("StreamSpecification")
    if kept != {"StreamViewType": "NEW_AND_OLD_IMAGES"}:
        yield "what was replaced is not told"


@rule
def a_candidate_is_no_burden(template: Json) -> Faults:
    """Images that wait too long for a candidate are left out, so that they do not hold up the
    shard."""
    for each in of_type(template, "AWS::Lambda::EventSourceMapping").values():
        if each["FunctionName"] != {"Ref": "ShadowFunction"}:
            continue
        if not 0 <= each.get("MaximumRetryAttempts", -1) <= 3:
            yield "changes are tried again until they expire"
        if not 0 < each.get("MaximumRecordAgeInSeconds", -1) <= 3600:
            yield "old rows are still shown"
