"""Logs and alarms."""

from __future__ import annotations

from tests.unit.template.rules.registry import Faults, rule, value
from tools.template import Json, of_type, text, with_conditions

WATCHED = {
    ("DriftingProperties", "drift"),
    ("Errors", "${DriftFunction}"),
    ("ApproximateNumberOfMessagesVisible", "${DeadLetterQueue.QueueName}"),
    ("OldestSeconds", "classify"),
    ("ApproximateAgeOfOldestMessage", "${ImagesQueue.QueueName}"),
    ("Errors", "${ClassifyFunction}"),
    ("Errors", "${ApiFunction}"),
    ("IteratorAge", "${ChangesFunction}"),
    ("Errors", "${ProposeModelFunction}"),
    ("Invocation5XXErrors", "${Endpoint.EndpointName}"),
    ("ExecutionsFailed", "${BulkStateMachine}"),
}


@rule
def every_log_group_forgets(template: Json) -> Faults:
    for name, group in of_type(template, "AWS::Logs::LogGroup").items():
        if not 14 <= group.get("RetentionInDays", 0) <= 365:
            yield name


@rule
def every_function_logs_to_its_group_of_the_stack(template: Json) -> Faults:
    groups = [
        text(function.get("LoggingConfig", {}).get("LogGroup"))
        for function in of_type(template, "AWS::Lambda::Function").values()
    ]
    ours = {f"${{{name}}}" for name in of_type(template, "AWS::Logs::LogGroup")}
    yield from (group for group in groups if group not in ours or groups.count(group) > 1)
    # The functions' boundary allows writing below this prefix.
    for group in ours & set(groups):
        name = text(value(template, f"{group[2:-1]}.LogGroupName"))
        if not name.startswith("/${AWS::StackName}/"):
            yield f"{group}: {name}"
    endpoint = value(template, "Endpoint.EndpointName.Fn::Sub")
    logs = value(template, "EndpointLogs.LogGroupName.Fn::Sub")
    if logs != ["/aws/sagemaker/Endpoints/" + endpoint[0], endpoint[1]]:
        yield "the endpoint logs elsewhere"


@rule
def a_day_is_compared_once_soon_after_its_end(template: Json) -> Faults:
    times = [
        each["ScheduleExpression"]
        for each in of_type(template, "AWS::Events::Rule").values()
        if "ScheduleExpression" in each
    ]
    if times != ["cron(30 0 * * ? *)"] or value(template, "DriftAlarm.Period") != 24 * 3600:
        yield str(times)


@rule
def alarms_watch_every_step_and_notify(template: Json) -> Faults:
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    watched = {
        (each["MetricName"], text(each["Dimensions"][0]["Value"])) for each in alarms.values()
    }
    yield from (str(each) for each in WATCHED - watched)
    for name, alarm in alarms.items():
        notified = with_conditions(alarm, {"HasAlarmEmail"}).get("AlarmActions")
        if notified != [{"Ref": "AlarmTopic"}]:
            yield f"{name} does not notify AlarmTopic"
        if "AlarmActions" in with_conditions(alarm, ()):
            yield f"{name} notifies a topic that does not exist"
    if template["Resources"]["AlarmTopic"].get("Condition") != "HasAlarmEmail":
        yield "AlarmTopic exists without an address"
