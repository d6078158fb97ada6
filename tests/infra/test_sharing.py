import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from opencode_cloud.sharing.service.deletion import VERIFY_AFTER_SECONDS
from tests.infra.synthesis import Synthesis

FUNCTIONS = ("share", "live", "deliver", "snapshot", "purge")
ROOT = Path(__file__).parents[2]


def _function(synthesis: Synthesis, name: str) -> dict[str, Any]:
    return synthesis.one("sharing", "AWS::Lambda::Function", name.capitalize())


def _alias(synthesis: Synthesis, name: str) -> str:
    (alias,) = (k for k in synthesis.resources("sharing", "AWS::Lambda::Alias") if k.startswith(name.capitalize()))
    return alias


def test_functions_run_on_the_stage_s_runtime(synthesis: Synthesis) -> None:
    for name in FUNCTIONS:
        function = _function(synthesis, name)
        assert function["Runtime"] == f"python{synthesis.stage.python}"
        assert function["Architectures"] == [synthesis.stage.architecture]
        assert len(function["Layers"]) == 2
        assert ("SnapStart" in function) == (synthesis.stage.snap_start and name in ("share", "live"))
        assert function["LoggingConfig"]["LogGroup"]


def test_snapshots_of_started_functions_are_taken_where_people_wait(syntheses: Mapping[str, Synthesis]) -> None:
    assert syntheses["production"].stage.snap_start
    assert not syntheses["local"].stage.snap_start


def test_every_way_in_leads_to_the_alias(synthesis: Synthesis) -> None:
    integrations = [
        json.dumps(i["IntegrationUri"]) for i in synthesis.properties("sharing", "AWS::ApiGatewayV2::Integration")
    ]
    assert sorted(_alias(synthesis, name) in uri for name in ("share", "live") for uri in integrations).count(True) == 5
    mappings = synthesis.properties("sharing", "AWS::Lambda::EventSourceMapping")
    for name in ("snapshot", "purge"):
        assert any(_alias(synthesis, name) in json.dumps(mapping["FunctionName"]) for mapping in mappings)
    rule = synthesis.one("sharing", "AWS::Events::Rule")
    assert rule["Targets"][0]["Arn"] == {"Ref": _alias(synthesis, "purge")}
    variables = _function(synthesis, "share")["Environment"]["Variables"]
    assert variables["DELIVER_FUNCTION"] == {"Ref": _alias(synthesis, "deliver")}


def test_permissions_are_on_the_alias_and_name_their_source(synthesis: Synthesis) -> None:
    aliases = {_alias(synthesis, name) for name in FUNCTIONS}
    permissions = synthesis.properties("sharing", "AWS::Lambda::Permission")
    assert len(permissions) == 6
    assert all(permission["FunctionName"]["Ref"] in aliases and permission["SourceArn"] for permission in permissions)


def test_sockets_have_three_routes_and_frames_are_answered(synthesis: Synthesis) -> None:
    routes = synthesis.properties("sharing", "AWS::ApiGatewayV2::Route", "WebSocket")
    assert sorted(route["RouteKey"] for route in routes) == ["$connect", "$default", "$disconnect"]
    responses = synthesis.properties("sharing", "AWS::ApiGatewayV2::RouteResponse")
    assert len(responses) == (0 if synthesis.stage.local else 1)


def test_the_stream_lets_only_new_log_records_through(synthesis: Synthesis) -> None:
    mappings = synthesis.properties("sharing", "AWS::Lambda::EventSourceMapping", "Snapshot")
    (mapping,) = mappings
    (rule,) = mapping["FilterCriteria"]["Filters"]
    assert json.loads(rule["Pattern"]) == {
        "eventName": ["INSERT"],
        "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "L#"}]}}},
    }
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"]
    assert mapping["MaximumBatchingWindowInSeconds"] == 2
    assert mapping["DestinationConfig"]["OnFailure"]


def test_queues_are_encrypted_and_what_fails_is_kept(synthesis: Synthesis) -> None:
    queues = synthesis.properties("sharing", "AWS::SQS::Queue")
    assert len(queues) == 4
    assert all(queue["SqsManagedSseEnabled"] for queue in queues)
    purges = synthesis.one("sharing", "AWS::SQS::Queue", "Purges")
    assert purges["VisibilityTimeout"] >= _function(synthesis, "purge")["Timeout"]
    assert purges["RedrivePolicy"]
    configured = synthesis.properties("sharing", "AWS::Lambda::EventInvokeConfig")
    assert len([config for config in configured if config["DestinationConfig"]["OnFailure"]]) == 2


def test_apis_are_throttled_and_logged_without_addresses(synthesis: Synthesis) -> None:
    stages = synthesis.properties("sharing", "AWS::ApiGatewayV2::Stage")
    assert len(stages) == 2
    for stage in stages:
        assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
        fields = json.loads(stage["AccessLogSettings"]["Format"])
        assert {"requestId", "status"} <= set(fields)
        assert not {"$context.path", "$context.identity.sourceIp"} & set(fields.values())


def test_refused_bodies_are_counted(synthesis: Synthesis) -> None:
    counter = synthesis.one("sharing", "AWS::Logs::MetricFilter")
    assert counter["FilterPattern"] == '{ $.status = "413" }'
    (metric,) = counter["MetricTransformations"]
    assert (metric["MetricNamespace"], metric["MetricName"]) == ("OpencodeCloud", "BodyTooLargeCount")


def test_logs_end(synthesis: Synthesis) -> None:
    groups = synthesis.properties("sharing", "AWS::Logs::LogGroup")
    assert len(groups) == len(FUNCTIONS) + synthesis.stage.local + 2
    assert {group["RetentionInDays"] for group in groups} == {synthesis.stage.log_retention_days}


def test_only_the_emulator_has_known_api_ids(synthesis: Synthesis) -> None:
    tags = [
        api.get("Tags", {}).get("ms-custom-id") for api in synthesis.properties("sharing", "AWS::ApiGatewayV2::Api")
    ]
    assert sorted(map(str, tags)) == (["share-http", "share-ws"] if synthesis.stage.local else ["None", "None"])


@pytest.mark.parametrize(
    "key", ["HttpApiId", "HttpUrl", "WebSocketApiId", "WebSocketUrl", "WebSocketEndpoint", "PurgeQueueUrl"]
)
def test_outputs(synthesis: Synthesis, key: str) -> None:
    assert key in synthesis.templates["sharing"]["Outputs"]


def test_a_purge_is_verified_later_than_any_writer_can_run(synthesis: Synthesis) -> None:
    writers = ("share", "live", "snapshot")
    assert max(_function(synthesis, name)["Timeout"] for name in writers) < VERIFY_AFTER_SECONDS
