"""Least privilege: the rights that each function has, and those that it must not have."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.synthesis import Synthesis

FUNCTIONS = ("share", "live", "deliver", "snapshot", "purge")
DENIED = {
    "share": ["dynamodb:Scan", "sqs:ReceiveMessage"],
    "live": ["secretsmanager:", "sqs:ReceiveMessage", "s3:DeleteObject", "s3:ListBucket", "dynamodb:Scan"],
    "deliver": ["secretsmanager:", "sqs:ReceiveMessage", "dynamodb:Scan", "lambda:"],
    "snapshot": ["secretsmanager:", "execute-api:", "lambda:", "dynamodb:PutItem", "dynamodb:DeleteItem"],
    "purge": ["secretsmanager:", "lambda:", "s3:GetObject", "s3:PutObject"],
}
"""Prefixes of actions that no function may get by accident. All grants were compared with the handlers."""

ROWS = {
    "share": {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"},
    "live": {"GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"},
    "deliver": {"GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"},
    "snapshot": {"GetItem", "Query", "UpdateItem"},
    "purge": {"GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"},
}
"""The exact actions of each function on rows of shares."""


def _statements(synthesis: Synthesis, name: str) -> Iterator[dict[str, Any]]:
    for policy in synthesis.properties("sharing", "AWS::IAM::Policy", name.capitalize()):
        yield from policy["PolicyDocument"]["Statement"]


def _actions(statement: dict[str, Any]) -> list[str]:
    return statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]


def _resources(statement: dict[str, Any]) -> list[Any]:
    return statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_function_does_not_need_is_denied(synthesis: Synthesis, name: str) -> None:
    granted = {action for statement in _statements(synthesis, name) for action in _actions(statement)}
    assert granted
    if synthesis.stage.has_hubs and name not in ("share", "snapshot"):
        # The secret of hubs, with which they sign what they post. It is no other secret.
        granted.remove("secretsmanager:GetSecretValue")
        (read,) = [s for s in _statements(synthesis, name) if "secretsmanager:GetSecretValue" in _actions(s)]
        assert "GetAttHub" in json.dumps(read["Resource"])
    assert not [action for action in granted if action.startswith(tuple(DENIED[name]))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_action_is_a_wildcard_and_no_resource_is_everything(synthesis: Synthesis, name: str) -> None:
    for statement in _statements(synthesis, name):
        assert not [action for action in _actions(statement) if "*" in action]
        if "*" in _resources(statement):
            assert _actions(statement) == ["dynamodb:ListStreams"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_objects_are_reached_only_under_the_prefix_of_shares(synthesis: Synthesis, name: str) -> None:
    for statement in _statements(synthesis, name):
        if any("Object" in action for action in _actions(statement)):
            assert all("/shares/*" in json.dumps(resource) for resource in _resources(statement))


def test_only_what_serves_sockets_reaches_the_connections(synthesis: Synthesis) -> None:
    for name in FUNCTIONS:
        tables = [json.dumps(s["Resource"]) for s in _statements(synthesis, name) if "dynamodb:" in _actions(s)[0]]
        assert any("Connections" in table for table in tables) == (name in ("live", "deliver")), name


def test_no_role_has_a_policy_of_aws_but_those_of_its_own_services(synthesis: Synthesis) -> None:
    roles = synthesis.resources("sharing", "AWS::IAM::Role")
    managed = {key for key, role in roles.items() if role["Properties"].get("ManagedPolicyArns")}
    allowed = {"WebSocketLoggingRole", *(("CanaryRole",) if synthesis.stage.canary else ())}
    assert {next((name for name in allowed if key.startswith(name)), key) for key in managed} == allowed


def test_every_function_has_a_role_of_its_own(synthesis: Synthesis) -> None:
    functions = synthesis.properties("sharing", "AWS::Lambda::Function")
    assert len({json.dumps(function["Role"]) for function in functions}) == len(functions)
    assert len(functions) == len(FUNCTIONS) + synthesis.stage.local  # with the hub's


@pytest.mark.parametrize("name", FUNCTIONS)
def test_people_are_only_looked_up_and_requests_of_theirs_counted(synthesis: Synthesis, name: str) -> None:
    for statement in _statements(synthesis, name):
        tables = json.dumps(statement["Resource"])
        if "GetAttAccess" not in tables and "GetAttSessions" not in tables:
            continue
        if "Condition" in statement:
            assert name == "share"
            (action,) = _actions(statement)
            written = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            known = {"dynamodb:UpdateItem": ["rate#*", "key_use#*", "idempotency#*"]}
            assert written == known.get(action, ["idempotency#*"])
            assert action in ("dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:DeleteItem")
        else:
            # The pages of `share` lead to the person's other workspaces.
            looked_up = [{"dynamodb:GetItem", "dynamodb:BatchGetItem"}, *([{"dynamodb:Query"}] * (name == "share"))]
            assert set(_actions(statement)) in looked_up
            assert name in ("share", "live", "deliver")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_of_shares(synthesis: Synthesis, name: str) -> None:
    granted: set[str] = set()
    for statement in _statements(synthesis, name):
        streamed = any("Stream" in action for action in _actions(statement))
        if not streamed and "GetAttShares" in json.dumps(statement["Resource"]):
            granted |= {action.removeprefix("dynamodb:") for action in _actions(statement)}
    assert granted == ROWS[name]
