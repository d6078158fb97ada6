"""The end of a stage. botocore checks requests and answers against AWS's own models."""

import pytest

from infra.operations import destroy
from infra.stage import load
from tests.infra.operations.stubs import stubbed
from tests.infra.variants import MAIL

STAGE = load("alice", environ={})


def test_logs_that_no_stack_knows_are_deleted_and_the_rest_is_named() -> None:
    (logs, groups), (tagging, tagged) = stubbed("logs"), stubbed("resourcegroupstaggingapi")
    ecs, definitions = stubbed("ecs")
    log = "/aws/lambda/opencode-cloud-alice-data-CustomS3AutoDelete"
    key, bucket = "arn:aws:kms:us-east-1:111122223333:key/1", "arn:aws:s3:::left"
    definition = "arn:aws:ecs:us-east-1:111122223333:task-definition/gateway:3"
    said: list[str] = []
    prefix = "/aws/lambda/opencode-cloud-alice-"
    groups.add_response("describe_log_groups", {"logGroups": [{"logGroupName": log}]}, {"logGroupNamePrefix": prefix})
    groups.add_response("delete_log_group", {}, {"logGroupName": log})
    resources = [{"ResourceARN": arn} for arn in (key, bucket, definition, f"{definition}0")]
    definitions.add_response("list_task_definitions", {"taskDefinitionArns": [definition]}, {"status": "ACTIVE"})
    definitions.add_response("deregister_task_definition", {}, {"taskDefinition": definition})
    tagged.add_response(
        "get_resources",
        {"ResourceTagMappingList": resources, "PaginationToken": ""},
        {"TagFilters": [{"Key": "opencode-cloud:stage", "Values": ["alice"]}]},
    )
    destroy.clean_up(logs, ecs, tagging, STAGE, said.append)
    groups.assert_no_pending_responses()
    definitions.assert_no_pending_responses()
    gone = [f"deleted the log {log}", f"deregistered {definition}"]
    assert said[:4] == [*gone, f"AWS deletes later: {key}", f"LEFT, delete it by hand: {bucket}"]


def test_a_stage_that_keeps_its_data_is_not_destroyed(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("stage") / "production.toml"
    file.write_text(MAIL)
    monkeypatch.setenv("STAGE", "production")
    monkeypatch.setenv("STAGE_FILE", str(file))
    monkeypatch.setenv("CONFIRM", "production")
    with pytest.raises(SystemExit, match="keeps its data"):
        destroy.main()


def test_nothing_is_deleted_without_the_stage_s_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "alice")
    monkeypatch.setenv("CONFIRM", "dev")
    with pytest.raises(SystemExit, match="Nothing was deleted"):
        destroy.main()
