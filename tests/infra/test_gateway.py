"""The gateway plane: the functions that serve model calls, their rights, and the sweep."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra import routes
from infra.stacks.gateway import ADAPTER_SETTINGS, CALL_SECONDS
from infra.stage import InvalidStage, load
from opencode_cloud.composition.gateway import HEALTH
from opencode_cloud.kit.asgi_middleware import ORIGIN_HEADER, VIEWER_HEADER
from opencode_cloud.usage.service.exporting import NIGHTLY
from tests.infra.synthesis import Synthesis, synthesize

ROOT = Path(__file__).parents[2]
LOOK = {"GetItem", "BatchGetItem"}
HOLD = {"BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"}
KEEP = LOOK | {"UpdateItem", "DeleteItem"}
GATEWAY = {"Access": LOOK, "Sessions": LOOK, "Budgets": HOLD, "Usage": {"BatchGetItem", "PutItem"}}
KEEPER = {"Access": set[str](), "Sessions": set[str](), "Budgets": KEEP | {"Query"}, "Usage": {"PutItem"}}


def _function(synthesis: Synthesis, name: str) -> dict[str, Any]:
    return synthesis.one("gateway", "AWS::Lambda::Function", name)


def _statements(synthesis: Synthesis, stack: str, like: str) -> Iterator[tuple[set[str], str, dict[str, Any]]]:
    """Yield actions, resources (as text) and condition of each statement of a role."""
    for policy in synthesis.properties(stack, "AWS::IAM::Policy", like):
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            listed = set(actions) if isinstance(actions, list) else {actions}
            yield listed, json.dumps(statement["Resource"]), statement.get("Condition", {})


def _rows(synthesis: Synthesis, like: str) -> dict[str, set[str]]:
    """Return the actions that a role allows on rows of each table, at any key."""
    granted: dict[str, set[str]] = {name: set() for name in GATEWAY}
    for actions, resources, condition in _statements(synthesis, "gateway", like):
        if condition or any("Stream" in action or "Records" in action for action in actions):
            continue
        for name in granted:
            if f"GetAtt{name}" in resources:
                granted[name] |= {a.removeprefix("dynamodb:") for a in actions if a.startswith("dynamodb:")}
    return granted


def test_only_on_aws_it_is_told_how_the_web_adapter_works(synthesis: Synthesis) -> None:
    given = set(_function(synthesis, "Gateway")["Environment"]["Variables"])
    assert (set(ADAPTER_SETTINGS) & given) == (set[str]() if synthesis.stage.local else set(ADAPTER_SETTINGS))


def test_it_streams_by_the_web_adapter(on_aws: Synthesis) -> None:
    function = _function(on_aws, "Gateway")
    variables = function["Environment"]["Variables"]
    assert (function["Handler"], function["Timeout"]) == ("run.sh", CALL_SECONDS)
    assert variables["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/bootstrap"
    assert variables["AWS_LWA_INVOKE_MODE"] == "response_stream"
    (adapter,) = [layer for layer in function["Layers"] if "753240598075" in json.dumps(layer)]
    kind = "Arm64" if on_aws.stage.architecture == "arm64" else "X86"
    assert re.search(rf"LambdaAdapterLayer{kind}:\d+", json.dumps(adapter))
    url = on_aws.one("gateway", "AWS::Lambda::Url")
    assert (url["AuthType"], url["InvokeMode"]) == ("NONE", "RESPONSE_STREAM")
    assert "Cors" not in url  # CORS is answered in one place, the application


def test_its_readiness_is_asked_where_nobody_needs_the_secret(on_aws: Synthesis) -> None:
    path = _function(on_aws, "Gateway")["Environment"]["Variables"]["AWS_LWA_READINESS_CHECK_PATH"]
    assert path == HEALTH


def test_both_permissions_that_an_open_address_needs_are_there(on_aws: Synthesis) -> None:
    permissions = on_aws.properties("gateway", "AWS::Lambda::Permission")
    opened = {p["Action"]: p for p in permissions if p["Principal"] == "*"}
    assert opened["lambda:InvokeFunctionUrl"]["FunctionUrlAuthType"] == "NONE"
    assert opened["lambda:InvokeFunction"]["InvokedViaFunctionUrl"] is True


def test_the_laptop_serves_it_without_adapter_and_address(syntheses: Mapping[str, Synthesis]) -> None:
    local = syntheses["local"]
    assert not local.resources("gateway", "AWS::Lambda::Url")
    assert "753240598075" not in json.dumps(local.templates["gateway"])


def test_the_cdn_and_the_application_mean_the_same_headers() -> None:
    assert routes.ORIGIN_HEADER.encode() == ORIGIN_HEADER
    assert routes.VIEWER_HEADER.encode() == VIEWER_HEADER


def test_neither_function_sits_in_a_network(synthesis: Synthesis) -> None:
    for function in synthesis.properties("gateway", "AWS::Lambda::Function"):
        assert "VpcConfig" not in function
        assert "DATABASE_HOST" not in function["Environment"]["Variables"]


def test_it_holds_money_and_looks_at_people_and_no_more(synthesis: Synthesis) -> None:
    assert _rows(synthesis, "Gateway") == GATEWAY
    assert _rows(synthesis, "BudgetsRole") == KEEPER


def test_among_sessions_it_only_counts(synthesis: Synthesis) -> None:
    written = [
        (actions, condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
        for actions, resources, condition in _statements(synthesis, "gateway", "Gateway")
        if condition and "GetAttSessions" in resources
    ]
    assert written == [({"dynamodb:UpdateItem"}, ["key_use#*"])]


def test_nobody_else_opens_credentials_of_providers(synthesis: Synthesis, contained: Synthesis) -> None:
    for made in (synthesis, contained):
        openers = {
            (stack, name)
            for stack in made.templates
            for name in made.resources(stack, "AWS::IAM::Policy")
            for actions, resources, _ in _statements(made, stack, name)
            if any(re.fullmatch(r"kms:(Decrypt|\*|ReEncrypt.*)", action) for action in actions)
            if "CredentialsKey" in resources
        }
        assert sorted((stack, name[:7]) for stack, name in openers) == [("console", "Console"), ("gateway", "Gateway")]


def test_what_it_opens_is_nothing_but_credentials(synthesis: Synthesis) -> None:
    granted = [(actions, text) for actions, text, _ in _statements(synthesis, "gateway", "Gateway")]
    for actions, resources in granted:
        if "kms:Decrypt" in actions:
            assert "CredentialsKey" in resources
            assert "SigningKey" not in resources
    keys = {action for actions, _ in granted for action in actions if action.startswith("kms:")}
    assert keys == {"kms:Decrypt", "kms:GetPublicKey"}
    secrets = [text for actions, text in granted if "secretsmanager:GetSecretValue" in actions]
    assert len(secrets) == 1
    assert secrets[0].count("Fn::ImportValue") == 2
    assert "UpstreamKeys" in secrets[0]
    assert "Origin" in secrets[0]


def test_it_asks_bedrock_for_answers_only(synthesis: Synthesis) -> None:
    asked = {a for actions, _, _ in _statements(synthesis, "gateway", "Gateway") for a in actions if "bedrock" in a}
    assert asked == {"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"}


WRITE_SPANS = {"xray:PutSpans", "xray:PutSpansForIndexing", "xray:PutTraceSegments"}


def test_nothing_may_do_everything(synthesis: Synthesis, contained: Synthesis) -> None:
    for made in (synthesis, contained):
        for actions, resources, _ in _statements(made, "gateway", ""):
            assert not [action for action in actions if "*" in action]
            if resources == '"*"':
                assert actions <= {"dynamodb:ListStreams", "ecr:GetAuthorizationToken", *WRITE_SPANS}
                assert made.stage.traces_to_xray or not actions & WRITE_SPANS


@pytest.mark.parametrize(("template", "name", "seconds"), [("gateway", "Budgets", 5), ("console", "Ledger", 30)])
def test_settled_calls_come_in_batches(synthesis: Synthesis, template: str, name: str, seconds: int) -> None:
    mappings = synthesis.properties(template, "AWS::Lambda::EventSourceMapping", name)
    (mapping,) = [mapping for mapping in mappings if "StartingPosition" in mapping]
    assert mapping["BatchSize"] == 500
    assert mapping["MaximumBatchingWindowInSeconds"] == (1 if synthesis.stage.local else seconds)
    assert mapping["BisectBatchOnFunctionError"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert f"{name}Failed" in json.dumps(mapping["DestinationConfig"]["OnFailure"])
    (rule,) = mapping["FilterCriteria"]["Filters"]
    assert json.loads(rule["Pattern"]) == {"eventName": ["INSERT"]}


def test_leases_are_looked_at_every_minute_and_books_every_night(synthesis: Synthesis) -> None:
    assert synthesis.one("gateway", "AWS::Events::Rule")["ScheduleExpression"] == "rate(1 minute)"
    nightly = synthesis.one("console", "AWS::Events::Rule", "Nightly")
    minute, hour = nightly["ScheduleExpression"].removeprefix("cron(").split()[:2]
    assert timedelta(hours=int(hour), minutes=int(minute)) == NIGHTLY, "the page of exports says this time"


def test_a_sleeping_database_is_woken_once_a_night(synthesis: Synthesis) -> None:
    ticks = synthesis.properties("console", "AWS::Events::Rule")
    minutes = sorted(
        60 * int(hour) + int(minute)
        for tick in ticks
        for minute, hour in [tick["ScheduleExpression"].removeprefix("cron(").split()[:2]]
    )
    assert 0 <= minutes[-1] - minutes[0] <= 3  # it stays awake for longer, because of its pause and of open connections


def test_calls_are_shed_by_reserved_concurrency_where_a_stage_says_so(tmp_path: Path) -> None:
    file = tmp_path / "stage.toml"
    file.write_text("anonymous_models = true\n[gateway]\nconcurrency = 50\nmemory = 1024\n")
    made = synthesize(load("alice", file, environ={}), tmp_path / "out", bundling=False)
    function = _function(made, "Gateway")
    assert (function["ReservedConcurrentExecutions"], function["MemorySize"]) == (50, 1024)
    assert function["Environment"]["Variables"]["ANONYMOUS_MODELS"] == "1"


def test_a_stage_with_billing_has_a_key_that_only_two_functions_may_sign_with(tmp_path: Path) -> None:
    file = tmp_path / "stage.toml"
    file.write_text("[billing]\nenabled = true\n")
    made = synthesize(load("alice", file, environ={}), tmp_path / "out", bundling=False)
    assert _function(made, "Gateway")["Environment"]["Variables"]["BILLING"] == "1"
    assert made.one("data", "AWS::KMS::Key", "LedgerKey")["KeyUsage"] == "SIGN_VERIFY"
    functions = [each for each in made.properties("console", "AWS::Lambda::Function") if "Environment" in each]
    signing = [each for each in functions if "LEDGER_KEY" in each["Environment"]["Variables"]]
    assert len(signing) == 2


def test_only_production_reserves_so_that_streams_leave_the_rest_to_others(synthesis: Synthesis) -> None:
    function = _function(synthesis, "Gateway")
    reserved = 700 if synthesis.stage.name == "production" else None
    assert function.get("ReservedConcurrentExecutions") == reserved
    assert function["MemorySize"] == 512


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("dev", "[gateway]\nleast_tasks = 5\nmost_tasks = 4\n", "most_tasks"),
        ("dev", "[gateway]\nruntime = 'ec2'\n", "runtime"),
        ("dev", "[gateway]\nruntime = 'container'\nmemory = 2500\n", "whole 1024s"),
        ("dev", "[gateway]\nruntime = 'container'\ntask_cpu = 256\nmemory = 3072\n", "up to 2048"),
        ("local", "[gateway]\nruntime = 'container'\n", "stage local"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    file = tmp_path / "stage.toml"
    file.write_text(text)
    with pytest.raises(InvalidStage, match=said):
        load(name, file, environ={})
