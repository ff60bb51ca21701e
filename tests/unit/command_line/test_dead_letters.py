"""Dead letters are found completely, stay in the queue, and are sent back by name."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from imagedrop.cli import app
from imagedrop.commands import dead_letters as dead_letters_cli
from imagedrop.dead_letters import DeadLetter, DeadLetters, without_repeats
from imagedrop.output import Format
from tests.s3_events import BUCKET, queue_body, s3_record


@dataclass
class Post:
    """Both queues in moto, whose time is not ours: visibility is seen by receiving again."""

    sqs: Any
    box: DeadLetters

    def send(self, body: str, reason: str | None = "SlowDown", attempts: int = 10) -> None:
        attributes = {}
        if reason is not None:
            attributes = {
                "reason": {"DataType": "String", "StringValue": reason},
                "detail": {"DataType": "String", "StringValue": f"{reason}: busy"},
                "attempts": {"DataType": "Number", "StringValue": str(attempts)},
            }
        self.sqs.send_message(
            QueueUrl=self.box.dead_letter_queue_url, MessageBody=body, MessageAttributes=attributes
        )

    def returned(self) -> list[str]:
        bodies: list[str] = []
        while found := self.sqs.receive_message(
            QueueUrl=self.box.images_queue_url, MaxNumberOfMessages=10
        ).get("Messages"):
            bodies += [each["Body"] for each in found]
        return bodies


@pytest.fixture
def post() -> Iterator[Post]:
    with mock_aws():
        sqs = boto3.client("sqs", region_name="us-east-1")
        urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("dead", "images")]
        yield Post(sqs, DeadLetters(sqs, *urls, pause=lambda _seconds: None))


def command(post: Post, *words: str) -> Result:
    """``imagedrop dead-letters WORDS`` over both queues."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dead_letters_cli, "find_target", lambda _name: None)
        patch.setattr(dead_letters_cli, "dead_letters_of", lambda _target: post.box)
        return CliRunner().invoke(app, ["dead-letters", *words])


def about(key: str) -> str:
    return queue_body(s3_record(key))


def anything(_letter: DeadLetter) -> bool:
    return True


def ignore(_letter: DeadLetter) -> None:
    return None


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("prefix", ["", f"s3://{BUCKET}/"])
def test_a_letter_is_found_and_sent_back_by_a_name_in_another_unicode_form(
    post: Post, form: Literal["NFC", "NFD"], prefix: str
) -> None:
    key = "incoming/Gänse/Café.jpg"
    stored = about(unicodedata.normalize("NFD" if form == "NFC" else "NFC", key))
    post.send(stored)
    post.send(about("incoming/Ganse/Cafe.jpg"))
    typed = prefix + unicodedata.normalize(form, key)
    assert json.loads(command(post, "show", typed).stdout)["body"] == stored
    command(post, "redrive", "--key", typed)
    assert post.returned() == [stored]


def test_a_reason_that_no_letter_has_is_answered_with_those_there_are(post: Post) -> None:
    post.send(about("incoming/dog.jpg"), reason="SlowDown")
    post.send(about("incoming/cat.jpg"), reason="OutOfTime")
    told = command(post, "list", "--reason", "slowdown").stderr
    assert "the reason slowdown; there are: OutOfTime, SlowDown" in told


def test_all_of_a_hundred_letters_are_found_and_stay(post: Post) -> None:
    for number in range(100):
        post.send(about(f"incoming/{number}.jpg"))
    for _ in range(2):
        found = post.box.all()
        assert {each.names for each in found} == {(f"incoming/{n}.jpg",) for n in range(100)}
    assert post.box.count() == 100


def test_a_letter_tells_reason_tries_and_image(post: Post) -> None:
    post.send(about("incoming/a b+c%20é.jpg"))
    (letter,) = post.box.all()
    assert letter.names == ("incoming/a b+c%20é.jpg",)
    assert (letter.reason, letter.detail, letter.attempts) == ("SlowDown", "SlowDown: busy", 10)
    assert letter.is_about(f"s3://{BUCKET}/incoming/a b+c%20é.jpg")


def test_a_letter_that_sqs_moved_has_an_unknown_reason(post: Post) -> None:
    post.send("no json", reason=None)
    (letter,) = post.box.all()
    assert (letter.reason, letter.attempts) == ("unknown", 0)
    assert letter.names == (letter.message_id,)


def test_redrive_sends_back_what_matches_and_leaves_the_rest(post: Post) -> None:
    for number in range(15):
        reason = ("SlowDown", "RuntimeError")[number % 3 == 0]
        post.send(about(f"incoming/{number}.jpg"), reason)
    sent: list[DeadLetter] = []
    count = post.box.redrive(lambda letter: letter.reason == "SlowDown", 10, sent.append)
    assert count == len(sent) == 10
    assert sorted(post.returned()) == sorted(letter.body for letter in sent)
    assert {each.reason for each in post.box.all()} == {"RuntimeError"}


def test_redriving_twice_sends_once(post: Post) -> None:
    post.send(about("incoming/dog.jpg"))
    assert post.box.redrive(anything, 10, ignore) == 1
    assert post.box.redrive(anything, 10, ignore) == 0
    assert post.returned() == [about("incoming/dog.jpg")]


def test_interrupted_redrive_loses_nothing(post: Post) -> None:
    for number in range(6):
        post.send(about(f"incoming/{number}.jpg"))

    def interrupt(_letter: DeadLetter) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        post.box.redrive(anything, 10, interrupt)
    assert len(post.returned()) == 1
    assert len(post.box.all()) == 5  # at once, without waiting until they are visible again


def test_an_interruption_between_sending_and_deleting_leaves_the_letter(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.send(about("incoming/dog.jpg"))

    def killed(_box: DeadLetters, _letter: DeadLetter) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DeadLetters, "_delete", killed)
    with pytest.raises(KeyboardInterrupt):
        post.box.redrive(anything, 10, ignore)
    assert (len(post.returned()), post.box.count()) == (1, 1)


def test_the_rate_is_kept(post: Post) -> None:
    pauses: list[float] = []
    post.box.pause = pauses.append
    for number in range(3):
        post.send(about(f"incoming/{number}.jpg"))
    post.box.redrive(anything, 4.0, ignore)
    assert pauses == [0.25, 0.25, 0.25]


def test_an_image_with_two_dead_letters_is_shown_once_with_its_reason(post: Post) -> None:
    post.send(about("incoming/dog.jpg"), reason=None)
    post.send(about("incoming/dog.jpg"))
    for format_ in Format:
        shown = command(post, "list", "--format", format_).stdout
        assert ("SlowDown" in shown, "unknown" in shown) == (True, False)
    assert len(without_repeats(post.box.all())) == 1


def test_two_versions_of_an_image_are_two_letters(post: Post) -> None:
    for version, reason in (("v1", "SlowDown"), ("v2", "RuntimeError")):
        post.send(queue_body(s3_record("incoming/dog.jpg", version=version)), reason)
    lines = command(post, "list", "--format", "jsonl").stdout.splitlines()
    assert {(each["versions"][0], each["reason"]) for each in map(json.loads, lines)} == {
        ("v1", "SlowDown"),
        ("v2", "RuntimeError"),
    }


def test_show_tells_everything_that_is_known(post: Post) -> None:
    told = {
        "reason": "AccessDenied",
        "detail": "not authorized",
        "message_id": "m7",
        "first_tried_at": "2026-11-25T08:00:00.000Z",
    }
    attributes: dict[str, Any] = {
        name: {"DataType": "String", "StringValue": text} for name, text in told.items()
    }
    attributes["attempts"] = {"DataType": "Number", "StringValue": "10"}
    post.sqs.send_message(
        QueueUrl=post.box.dead_letter_queue_url,
        MessageBody=about("incoming/dog.jpg"),
        MessageAttributes=attributes,
    )
    shown = json.loads(command(post, "show", "incoming/dog.jpg").stdout)
    assert shown["logged_as"] == told.pop("message_id")
    assert {name: shown[name] for name in told} == told
    assert (shown["attempts"], shown["body"]) == (10, about("incoming/dog.jpg"))


def test_messages_that_another_process_reads_are_counted_and_the_exit_code_says_so(
    post: Post,
) -> None:
    for number in range(3):
        post.send(about(f"incoming/{number}.jpg"))
    post.sqs.receive_message(QueueUrl=post.box.dead_letter_queue_url, VisibilityTimeout=300)
    assert "About 1 more" in command(post, "list").stderr
    redriven = command(post, "redrive")
    assert "About 1 more" in redriven.stderr
    assert (redriven.exit_code, len(post.returned())) == (1, 2)


def test_a_redrive_of_everything_succeeds_also_when_there_is_nothing_left(post: Post) -> None:
    post.send(about("incoming/dog.jpg"))
    assert command(post, "redrive", "--dry-run").exit_code == 0
    assert post.returned() == []
    assert command(post, "redrive", "--reason", "SlowDown").exit_code == 0
    assert post.returned() == [about("incoming/dog.jpg")]
    assert command(post, "redrive").exit_code == 0
    assert post.returned() == []


def test_a_redrive_slower_than_one_look_sends_all_the_same(post: Post) -> None:
    seconds = [0.0]
    post.box.monotonic = lambda: seconds[0]
    post.box.pause = lambda pause: seconds.__setitem__(0, seconds[0] + pause)
    for number in range(40):
        post.send(about(f"incoming/{number}.jpg"))
    assert post.box.redrive(anything, 0.1, ignore) == 40


def test_no_control_character_of_a_key_reaches_the_terminal(
    post: Post, capsys: pytest.CaptureFixture[str]
) -> None:
    post.send(about("incoming/\x1b[31mred.jpg"))
    dead_letters_cli.print_dead_letters(post.box.all(), Format.TABLE)
    assert "\x1b[31mred" not in capsys.readouterr().out


def test_json_of_a_letter_holds_its_body(post: Post) -> None:
    post.send(about("incoming/dog.jpg"))
    (letter,) = post.box.all()
    assert json.loads(json.dumps(letter.to_json()))["body"] == about("incoming/dog.jpg")
