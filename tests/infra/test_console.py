"""The console plane: rights of functions, their environments, and the migration step."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.queues import CONSOLE_QUEUES
from infra.routes import API_ROUTES, ROUTES, Target, match
from tests.infra.synthesis import Synthesis

ROOT = Path(__file__).parents[2]
FUNCTIONS = ("identity", "console", "relay", "mail", "ledger", "operate", "github", "payments", "migrate")
WITH_DATABASE = {"console", "relay", "mail", "ledger", "operate", "payments", "migrate"}
TABLES = {"GetAttAccess": "access", "GetAttBudgets": "budgets", "GetAttUsage": "usage"}
STREAM = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
MAY = {
    "identity": {
        "access": {"GetItem", "BatchGetItem", "Query"},
        "sessions": {"GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem", "Query"},
        "other": {"kms:GetPublicKey", "kms:Sign", "secretsmanager:GetSecretValue", "sqs:SendMessage"},
        "usage": {"Query"},
    },
    "console": {
        "access": {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"},
        "sessions": {"GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem", "Query"},
        "other": {
            "kms:GetPublicKey",
            "kms:GenerateDataKey",
            "kms:Decrypt",
            "secretsmanager:GetSecretValue",
            "sqs:SendMessage",
            "s3:GetObject",
        },
        "budgets": {"BatchGetItem"},
        "usage": {"GetItem"},
    },
    "operate": {
        "access": {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"},
        "sessions": {"GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem", "Query"},
        "other": {
            "kms:GetPublicKey",
            "secretsmanager:GetSecretValue",
            "sqs:SendMessage",
            "s3:GetObject",
            "s3:PutObject",
        },
        "budgets": {"BatchGetItem"},
        "usage": {"Query"},
    },
    "mail": {"access": set[str](), "sessions": set[str](), "other": {"ses:SendEmail"}},
    "migrate": {"access": set[str](), "sessions": set[str](), "other": {"s3:GetObject", "s3:PutObject"}},
    "payments": {
        "access": {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"},
        "sessions": {"GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem", "Query"},
        "other": {
            "kms:GetPublicKey",
            "secretsmanager:GetSecretValue",
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",
        },
    },
    "github": {"access": set[str](), "sessions": {"UpdateItem"}, "other": {"secretsmanager:GetSecretValue"}},
}
QUEUE = {"sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueUrl", "sqs:DeleteMessage"}
QUEUE |= {"sqs:GetQueueAttributes", "sqs:SendMessage"}
NETWORK = {"ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"}
NETWORK |= {"ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"}
LIST_STREAMS = "dynamodb:ListStreams"
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}


def _statements(synthesis: Synthesis, name: str) -> Iterator[dict[str, Any]]:
    for policy in synthesis.properties("console", "AWS::IAM::Policy", name.capitalize()):
        yield from policy["PolicyDocument"]["Statement"]


def _actions(statement: dict[str, Any]) -> set[str]:
    return set(statement["Action"]) if isinstance(statement["Action"], list) else {statement["Action"]}


def _granted(synthesis: Synthesis, name: str) -> dict[str, set[str]]:
    """Return the actions that a function's role allows, by resource."""
    granted: dict[str, set[str]] = {name: set() for name in (*TABLES.values(), "sessions", "other")}
    for statement in _statements(synthesis, name):
        if statement["Effect"] != "Allow":
            continue
        for action in _actions(statement):
            service, _, verb = action.partition(":")
            text = json.dumps(statement["Resource"])
            tables = [table for name, table in TABLES.items() if name in text] or ["sessions"]
            for table in tables if service == "dynamodb" else ["other"]:
                granted[table].add(verb if service == "dynamodb" else action)
    return granted


@pytest.mark.parametrize("name", MAY)
def test_each_function_may_do_what_it_does_and_no_more(synthesis: Synthesis, name: str) -> None:
    granted = _granted(synthesis, name)
    others = granted["other"] - LOGS - (NETWORK if name in WITH_DATABASE else set())
    database = {"rds-db:connect"} if name in WITH_DATABASE and not synthesis.stage.local else set[str]()
    assert granted["access"] == MAY[name]["access"]
    assert granted["sessions"] == MAY[name]["sessions"]
    assert granted["budgets"] == MAY[name].get("budgets", set())
    assert granted["usage"] == MAY[name].get("usage", set())
    if name == "mail":
        assert others == {"ses:SendEmail", "secretsmanager:GetSecretValue"} | QUEUE | database
    elif name == "migrate":
        assert others == MAY[name]["other"] | ({"secretsmanager:GetSecretValue"} | database if database else set())
    else:
        assert others == MAY[name]["other"] | database


def test_the_pages_of_operators_may_replay_failed_messages_and_nothing_else(syntheses: Mapping[str, Synthesis]) -> None:
    listed = syntheses["switched"]
    more = _granted(listed, "console")["other"] - LOGS - NETWORK - MAY["console"]["other"] - {"rds-db:connect"}
    assert more == {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
    for statement in _statements(listed, "console"):
        if "sqs:ReceiveMessage" in _actions(statement):
            resources = [json.dumps(each) for each in statement["Resource"]]
            assert len(resources) == len(CONSOLE_QUEUES)
            assert all("Failed" in each for each in resources)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_action_is_a_wildcard(synthesis: Synthesis, name: str) -> None:
    for statement in _statements(synthesis, name):
        assert not [action for action in _actions(statement) if "*" in action]
        if statement["Resource"] == "*":
            # The emulator does not support ARNs of senders.
            allowed = {"ses:SendEmail"} if synthesis.stage.local else NETWORK
            assert _actions(statement) == allowed or (name == "ledger" and _actions(statement) == {LIST_STREAMS})


def test_the_ledger_reads_what_was_used_and_changes_nothing_but_metadata_and_its_exports(synthesis: Synthesis) -> None:
    granted = _granted(synthesis, "ledger")
    assert granted["budgets"] == {"BatchGetItem"}
    # Metadata of a call expires before the call's event.
    assert granted["usage"] - STREAM == {"Query", "UpdateItem"}
    objects = {action for action in granted["other"] if action.startswith("s3:")}
    assert objects == {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}
    for statement in _statements(synthesis, "ledger"):
        if _actions(statement) & objects:
            assert "UsageExports" in json.dumps(statement["Resource"])


def test_only_identity_signs(synthesis: Synthesis) -> None:
    signing = [name for name in FUNCTIONS if "kms:Sign" in _granted(synthesis, name)["other"]]
    assert signing == ["identity"]
    assert not any(
        "kms:Sign" in _actions(statement)
        for policy in synthesis.properties("sharing", "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
    )


def test_code_beside_the_database_may_not_touch_the_network(on_aws: Synthesis) -> None:
    for name in WITH_DATABASE:
        (denied,) = [s for s in _statements(on_aws, name) if s["Effect"] == "Deny"]
        assert _actions(denied) == NETWORK
        assert denied["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}


def test_only_functions_with_sql_sit_beside_the_database(synthesis: Synthesis) -> None:
    for name in FUNCTIONS:
        function = synthesis.one("console", "AWS::Lambda::Function", name.capitalize())
        assert ("VpcConfig" in function) == (name in WITH_DATABASE and not synthesis.stage.local), name
        variables = function["Environment"]["Variables"]
        assert ("DATABASE_HOST" in variables) == (name in WITH_DATABASE), name
    for function in synthesis.properties("sharing", "AWS::Lambda::Function"):
        assert "VpcConfig" not in function
        assert "DATABASE_HOST" not in function["Environment"]["Variables"]


def test_passwords_are_settings_of_the_laptop_only(synthesis: Synthesis) -> None:
    template = json.dumps(synthesis.templates["console"])
    assert ("DATABASE_PASSWORD" in template) == synthesis.stage.local
    if not synthesis.stage.local:
        variables = synthesis.one("console", "AWS::Lambda::Function", "Console")["Environment"]["Variables"]
        assert variables["DATABASE_AUTH"] == "iam"


def test_the_migration_runs_when_versions_change_and_before_new_code(synthesis: Synthesis) -> None:
    (migration,) = synthesis.resources("console", "Custom::Migration").values()
    assert len(migration["Properties"]["Versions"]) == 64
    (name,) = synthesis.resources("console", "Custom::Migration")
    for function in ("Console", "Relay", "Mail"):
        (resource,) = (
            r for k, r in synthesis.resources("console", "AWS::Lambda::Function").items() if k.startswith(function)
        )
        assert name in resource["DependsOn"]


def test_the_table_of_routes_is_the_api_s(synthesis: Synthesis) -> None:
    routes = synthesis.properties("console", "AWS::ApiGatewayV2::Route")
    routes += synthesis.properties("sharing", "AWS::ApiGatewayV2::Route", "Routes")
    keys = sorted(route["RouteKey"] for route in routes)
    assert keys == sorted(f"ANY {path}" for paths in API_ROUTES.values() for path in paths)
    assert len(keys) == len(set(keys))


def test_every_path_of_the_api_reaches_it() -> None:
    for path in [
        path.replace("{proxy+}", "x/y").replace("{workspace}", "w") for p in API_ROUTES.values() for path in p
    ]:
        assert match(path).target is Target.HTTP
    assert [route.pattern for route in ROUTES if route.target is Target.SITE] == ["/.well-known/opencode"]


def test_the_queues_wake_the_functions_behind_the_alias(synthesis: Synthesis) -> None:
    mappings = synthesis.properties("console", "AWS::Lambda::EventSourceMapping")
    assert len(mappings) == 8
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert "Alias" in json.dumps(mapping["FunctionName"])


def test_snapshots_are_paid_for_where_people_wait(synthesis: Synthesis) -> None:
    for name in FUNCTIONS:
        function = synthesis.one("console", "AWS::Lambda::Function", name.capitalize())
        github, stripe = synthesis.stage.github is not None, synthesis.stage.stripe is not None
        people_wait = (
            name in ("identity", "console") or (name == "github" and github) or (name == "payments" and stripe)
        )
        assert ("SnapStart" in function) == (synthesis.stage.snap_start and people_wait)


def test_functions_of_the_console_plane_have_a_layer_more(synthesis: Synthesis) -> None:
    for function in synthesis.properties("console", "AWS::Lambda::Function"):
        name = function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        assert len(function["Layers"]) == 3 + (name in ("console", "ledger", "payments"))
