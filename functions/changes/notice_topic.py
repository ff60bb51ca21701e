"""The topic to which notices of rows are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from changes.notices import Rule, message_of
from pipeline.adapters.service_errors import translate_errors
from pipeline.records import Record

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

SUBJECT = "imagedrop: an image that you wait for"


class NoticeTopic:
    """Sends one message a batch to the topic named in the template."""

    def __init__(self, sns: SNSClient, topic_arn: str, rule: Rule) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._rule = rule

    def send(self, records: Sequence[Record]) -> None:
        """Sends a message about the new answers that match, if there are any.

        Raises:
            TransientError: SNS is busy or did not answer.
        """
        found = [each for each in records if self._rule.matches(each)]
        if found:
            with translate_errors():
                self._sns.publish(
                    TopicArn=self._topic_arn, Subject=SUBJECT, Message=message_of(found)
                )
