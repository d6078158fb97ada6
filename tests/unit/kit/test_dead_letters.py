"""Queues and their dead-letter queues: counted, and replayed without losing a message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_cloud.kit import aws
from opencode_cloud.kit.dead_letters import DeadLetters, QueueState
from opencode_cloud.kit.errors import NotFound
from tests.unit.aws import Cloud, by_boto3


@pytest.fixture
def urls(cloud: Cloud) -> tuple[str, str]:
    """Return a queue and its dead-letter queue."""
    sqs: Any = by_boto3("sqs")
    queue, failed = cloud.queue("mail"), cloud.queue("mailFailed")
    arn = sqs.get_queue_attributes(QueueUrl=failed, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})
    return queue, failed


def test_messages_are_counted_by_their_state(cloud: Cloud, urls: tuple[str, str]) -> None:
    queue, failed = urls
    for url, number in ((queue, 3), (failed, 2)):
        for each in range(number):
            aws.sqs().send_message(url, str(each))
    aws.sqs().receive(queue, hidden_seconds=60)
    aws.sqs().send_message(queue, "new")
    letters = DeadLetters({"mail": queue, "plain": cloud.queue("plain"), "unset": ""}, kept=["plain"])
    assert letters.states() == [
        QueueState("mail", waiting=1, in_work=3, failed=2, replayable=True),
        QueueState("plain", waiting=0, in_work=0, failed=0, replayable=False),
    ]


def test_a_replay_sends_every_failed_message_again(cloud: Cloud, urls: tuple[str, str]) -> None:
    queue, failed = urls
    for each in range(25):
        aws.sqs().send_message(failed, str(each))
    assert DeadLetters({"mail": queue}).replay("mail") == 25
    found = {body for _ in range(5) for _, body in aws.sqs().receive(queue, hidden_seconds=60)}
    assert found == {str(each) for each in range(25)}
    assert DeadLetters({"mail": queue}).states()[0].failed == 0, "they are deleted, not only hidden"
    assert DeadLetters({"mail": queue}).replay("mail") == 0


def test_a_message_that_cannot_be_sent_stays_failed(urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    queue, failed = urls
    aws.sqs().send_message(failed, "kept")

    def refuse(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(type(aws.sqs()), "send_message", refuse)
    with pytest.raises(ConnectionError):
        DeadLetters({"mail": queue}).replay("mail")
    sqs: Any = by_boto3("sqs")
    names = ["ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=failed, AttributeNames=names)["Attributes"]
    assert attributes[names[0]] == "1"


@pytest.mark.parametrize("name", ["kept", "unknown", "unset"])
def test_other_queues_cannot_be_replayed(urls: tuple[str, str], name: str) -> None:
    letters = DeadLetters({"kept": urls[0], "unset": ""}, kept=["kept"])
    with pytest.raises(NotFound):
        letters.replay(name)
