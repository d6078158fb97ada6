"""No update loses data: against the last release, by the rule, and by what CloudFormation is told."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.constructs.references import OPTIONAL
from infra.operations.deploy import migrates, protect, save_database, stop_at_losses
from infra.operations.freeze import RELEASED
from infra.operations.protection import LASTING, dangers, frozen, stack_policy
from infra.stage import load
from tests.infra.operations.stubs import stubbed
from tests.infra.synthesis import Synthesis

TABLE = "AWS::DynamoDB::GlobalTable"
KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}]


def data(**resources: Any) -> dict[str, Any]:
    return {"data": {"Resources": resources}}


def table(keys: Any = KEYS, **more: Any) -> dict[str, Any]:
    return {"Type": TABLE, "Properties": {"KeySchema": keys, **more}}


@pytest.mark.slow
@pytest.mark.timeout(900)  # it synthesizes each variant
def test_an_update_from_the_last_release_loses_no_data(syntheses: Mapping[str, Synthesis]) -> None:
    released = json.loads(RELEASED.read_text())
    assert sum(map(len, released.values())) > 15
    for name in ("production", "switched"):
        assert [str(danger) for danger in dangers(released, syntheses[name].templates)] == []


def test_a_release_freezes_what_is_there(syntheses: Mapping[str, Synthesis]) -> None:
    now = frozen(syntheses["production"].templates)
    released = json.loads(RELEASED.read_text())
    # A new resource is frozen at the next release.
    assert all(set(released[stack]) <= set(now[stack]) for stack in released)


def test_what_settings_take_out_is_not_frozen(syntheses: Mapping[str, Synthesis]) -> None:
    for name in ("production", "switched"):
        assert not [key for key in frozen(syntheses[name].templates)["data"] if "SigningKey" in key or "GitHub" in key]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (data(), "would be removed"),
        (data(Shares={"Type": "AWS::SQS::Queue"}), "would be removed"),
        (
            data(Shares=table([{"AttributeName": "id", "KeyType": "HASH"}])),
            "would be replaced, since KeySchema changes",
        ),
        (data(Shares=table(TableName="shares")), "would be replaced, since TableName changes"),
    ],
)
def test_a_loss_is_found(after: dict[str, Any], said: str) -> None:
    (danger,) = dangers(frozen(data(Shares=table())), after)
    assert str(danger) == f"data: Shares ({TABLE}) {said}"


def test_a_new_first_value_of_a_secret_would_overwrite_what_operators_wrote() -> None:
    secret = {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "{}"}}
    (danger,) = dangers(frozen(data(Keys=secret)), data(Keys={**secret, "Properties": {"SecretString": "[]"}}))
    assert danger.change == "would get a new value, since SecretString changes"


def test_other_changes_and_optional_resources_are_no_loss() -> None:
    optional = {"Type": "AWS::KMS::Key", "Metadata": {OPTIONAL: True}}
    before = data(Shares=table(), Key=optional, Queue={"Type": "AWS::SQS::Queue"})
    assert dangers(frozen(before), data(Shares=table(BillingMode="PAY_PER_REQUEST"))) == []
    assert dangers(frozen(before), {}) == []


def test_a_deployment_stops_at_a_loss_unless_it_is_allowed() -> None:
    with pytest.raises(SystemExit, match="would be removed"):
        stop_at_losses(data(Shares=table()), data(), [])
    stop_at_losses(data(Shares=table()), data(), ["Shares"])


def test_cloudformation_refuses_losses_itself() -> None:
    client, stub = stubbed("cloudformation")
    stage = load("dev", environ={}).model_copy(update={"name": "production", "retain_data": True})
    expected = {"StackName": "opencode-cloud-production-data", "StackPolicyBody": stack_policy(["Shares"])}
    stub.add_response("set_stack_policy", {}, expected)
    protect(client, stage, data(Shares=table(), Other=table()), allowed=["Other"])
    stub.assert_no_pending_responses()
    statements = json.loads(stack_policy(["Shares"]))["Statement"]
    assert [(s["Effect"], s["Resource"]) for s in statements] == [
        ("Allow", "*"),
        ("Deny", ["LogicalResourceId/Shares"]),
    ]
    assert statements[1]["Action"] == ["Update:Replace", "Update:Delete"]
    # A statement without a resource is no policy.
    assert len(json.loads(stack_policy([]))["Statement"]) == 1


def test_a_change_of_the_schema_saves_the_database_first() -> None:
    old = {"Resources": {"Migration": {"Type": "Custom::Migration", "Properties": {"Versions": "1"}}}}
    new = {"Resources": {"Migration": {"Type": "Custom::Migration", "Properties": {"Versions": "2"}}}}
    assert migrates({"database": {}, "console": old}, {"console": new})
    assert not migrates({"database": {}, "console": old}, {"console": old})
    assert not migrates({}, {"console": new})
    client, stub = stubbed("rds")
    stub.add_response("create_db_cluster_snapshot", {})
    for status in ("creating", "available"):
        stub.add_response("describe_db_cluster_snapshots", {"DBClusterSnapshots": [{"Status": status}]})
    pauses: list[float] = []
    name = save_database(client, load("dev", environ={}), say=lambda _: None, sleep=pauses.append)
    assert name.startswith("opencode-cloud-dev-")
    assert len(pauses) == 1
    stub.assert_no_pending_responses()


def test_every_type_with_a_removal_policy_is_known(syntheses: Mapping[str, Synthesis]) -> None:
    for template in syntheses["production"].templates.values():
        for name, resource in template["Resources"].items():
            if resource.get("DeletionPolicy") in ("Retain", "Snapshot") and resource["Type"] not in ALSO_KEPT:
                assert resource["Type"] in LASTING, name


ALSO_KEPT = {"AWS::ApiGateway::Account", "AWS::IAM::Role", "AWS::Lambda::Version"}
"""Types that are kept, and hold no data."""
