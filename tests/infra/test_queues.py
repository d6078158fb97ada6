"""Queues follow from their declarations in infra/queues.py: resources, rights, event source, alarm."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra import queues, settings
from infra.queues import CONSOLE_QUEUES, SHARING_QUEUES, TIMEOUTS, QueueDeclaration
from infra.stage import load
from tests.infra.synthesis import Synthesis, synthesize

DECLARED = {**CONSOLE_QUEUES, **SHARING_QUEUES}
STACKS = {name: "data" if name in CONSOLE_QUEUES else "sharing" for name in DECLARED}
CONSUMER_STACKS = {"purge": "sharing"}


def queue_of(synthesis: Synthesis, name: str) -> tuple[str, dict[str, Any]]:
    """Return the logical id and the properties of a queue."""
    stack = STACKS.get(name, "data")
    named = {
        key: it["Properties"]
        for key, it in synthesis.resources(stack, "AWS::SQS::Queue").items()
        if key.startswith(name.capitalize()) and "Failed" not in key
    }
    ((key, properties),) = named.items()
    return key, properties


def senders(synthesis: Synthesis, key: str) -> set[str]:
    """Return the functions whose role may send to a queue."""
    return {
        name.partition("Role")[0].lower()
        for stack in synthesis.templates
        for name, policy in synthesis.resources(stack, "AWS::IAM::Policy").items()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "sqs:SendMessage" in statement["Action"] and key in json.dumps(statement["Resource"])
    }


def check(synthesis: Synthesis, name: str, declared: QueueDeclaration) -> None:
    """Compare a queue with its declaration."""
    key, properties = queue_of(synthesis, name)
    assert properties["VisibilityTimeout"] == declared.visibility_seconds
    assert properties["RedrivePolicy"]["maxReceiveCount"] == declared.max_receives
    failed = json.dumps(properties["RedrivePolicy"]["deadLetterTargetArn"])
    if synthesis.stage.watched:
        alarms = synthesis.properties("observability", "AWS::CloudWatch::Alarm")
        (reference,) = [word for word in failed.split('"') if "Failed" in word]
        assert any(reference in json.dumps(alarm.get("Dimensions", "")) for alarm in alarms), name
    producers = set(declared.producers) - (set() if synthesis.stage.has_hubs else {"hub"})
    assert senders(synthesis, key) == producers
    stack = CONSUMER_STACKS.get(declared.consumer, "console")
    (mapping,) = [
        it
        for it in synthesis.properties(stack, "AWS::Lambda::EventSourceMapping")
        if key in json.dumps(it["EventSourceArn"])
    ]
    assert mapping["BatchSize"] == declared.batch
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert f'"{declared.consumer.capitalize()}Alias' in json.dumps(mapping["FunctionName"])
    function = synthesis.one(stack, "AWS::Lambda::Function", f"{declared.consumer.capitalize()}Function")
    assert function["Timeout"] == TIMEOUTS[declared.consumer] <= properties["VisibilityTimeout"]


@pytest.mark.parametrize("name", DECLARED)
def test_a_queue_is_what_its_declaration_says(synthesis: Synthesis, name: str) -> None:
    check(synthesis, name, DECLARED[name])


@pytest.mark.parametrize("name", ["audit", "purges"])
def test_a_hub_in_a_container_sends_to_its_queues(hubbed: Synthesis, name: str) -> None:
    check(hubbed, name, DECLARED[name])


@pytest.mark.parametrize("name", DECLARED)
def test_whoever_is_at_an_end_of_a_queue_declares_its_url_or_has_no_use_for_it(name: str) -> None:
    it = DECLARED[name]
    readers = {function for function, declared in settings.DECLARED.items() if it.variable in declared}
    assert set(it.producers) <= readers <= {*it.producers, it.consumer}


def test_a_declaration_is_enough_for_a_new_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = QueueDeclaration(consumer="relay", producers=("console",), variable="INVOICES_QUEUE_URL", max_receives=7)
    declared: Mapping[str, Any] = {"required": True, "meaning": "the URL of the queue of invoices"}
    monkeypatch.setitem(queues.CONSOLE_QUEUES, "invoices", made_up)  # pyright: ignore[reportArgumentType]
    for function in ("relay", "console"):
        monkeypatch.setitem(settings.DECLARED[function], made_up.variable, declared)  # pyright: ignore[reportArgumentType]
    synthesis = synthesize(load("dev", environ={}), tmp_path / "out", bundling=False)
    check(synthesis, "invoices", made_up)
    for name in ("Console", "Relay"):
        function = synthesis.one("console", "AWS::Lambda::Function", f"{name}Function")
        assert made_up.variable in function["Environment"]["Variables"]
