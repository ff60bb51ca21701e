"""The topic by which people hear of alarms, and of models that wait for a word of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.adapters.service_errors import transient_errors_named

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

MAX_SUBJECT_CHARACTERS = 100  # SNS; printable ASCII


class AlarmTopic:
    """``arn`` is empty in a stack that was told nobody's address: then nothing is sent."""

    def __init__(self, sns: SNSClient, arn: str) -> None:
        self._sns = sns
        self._arn = arn

    def tell(self, subject: str, text: str) -> None:
        """
        Raises:
            TransientError: SNS is busy or did not answer.
            ClientError: SNS refuses; a missing permission above all.
        """
        if not self._arn:
            return
        printable = "".join(each if " " <= each <= "~" else "?" for each in subject)
        with transient_errors_named():
            self._sns.publish(
                TopicArn=self._arn, Subject=printable[:MAX_SUBJECT_CHARACTERS], Message=text
            )
