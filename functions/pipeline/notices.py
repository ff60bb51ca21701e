"""Notices of rows that somebody waits for: a label, a confidence, a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.adapters.service_errors import translate_errors
from pipeline.records import Record, Status

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

# A mail for a whole folder says the first rows, and how many more there are.
SHOWN = 20
SUBJECT = "imagedrop: an image that you wait for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What somebody waits for; everything that is given must match."""

    label: str | None = None
    min_confidence: float = 0.0
    folder: str = ""

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Reads ``label=pug,min_confidence=0.9,folder=incoming/cats/``.

        Raises:
            ValueError: an unknown name, or a confidence that is no number.
        """
        given = dict(part.split("=", 1) for part in text.split(","))
        confidence = float(given.pop("min_confidence", 0))
        label, folder = given.pop("label", None), given.pop("folder", "")
        if given:
            raise ValueError(f"a notice has no {', '.join(given)}")
        return cls(label=label, min_confidence=confidence, folder=folder)

    def matches(self, record: Record) -> bool:
        return (
            record.status is Status.CLASSIFIED
            and self.label in (None, record.label)
            and (record.confidence or 0.0) >= self.min_confidence
            and record.key.startswith(self.folder)
        )


class Notices:
    """Sends one message a batch to the topic."""

    def __init__(self, sns: SNSClient, topic_arn: str, rule: Rule) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._rule = rule

    def send(self, records: Sequence[Record]) -> None:
        """Tells which of the new answers match, if any does.

        Raises:
            TransientError: SNS is busy or did not answer.
        """
        found = [each for each in records if self._rule.matches(each)]
        if not found:
            return
        lines = [f"{each.key}: {each.label} {each.confidence:.3f}" for each in found[:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"and {len(found) - SHOWN} more")
        with translate_errors():
            self._sns.publish(TopicArn=self._topic_arn, Subject=SUBJECT, Message="\n".join(lines))
