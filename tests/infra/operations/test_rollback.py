"""Back to the versions before a deployment."""

import os
from pathlib import Path
from typing import Any

import pytest

from infra.operations.deploy import at_once_after_a_rollback, failed_before
from infra.operations.rollback import prune, roll_back
from infra.operations.stages import STACKS
from infra.operations.versions import ROLLED_BACK, Code, Functions, Services, deployed_code
from infra.stage import from_environment, load
from tests.infra.operations.stubs import stubbed


def listed(stub: Any, name: str, *numbers: str) -> None:
    versions = [{"Version": number} for number in ("$LATEST", *numbers)]
    stub.add_response("list_versions_by_function", {"Versions": versions}, {"FunctionName": name})


def aliased(stub: Any, name: str, version: str) -> None:
    stub.add_response("get_alias", {"FunctionVersion": version}, {"FunctionName": name, "Name": "live"})


def code(client: Any, *names: str) -> Code:
    """Return the code of a stage without containers."""
    return Code(Functions(client, names), Services(None, ()))


SERVICE = "arn:aws:ecs:us-east-1:111122223333:service/opencode-cloud-dev-gateway-Cluster/gateway"
CLUSTER = {"cluster": "opencode-cloud-dev-gateway-Cluster"}
DEFINITION = "arn:aws:ecs:us-east-1:111122223333:task-definition/opencodeclouddevgatewayTask"


def described(stub: Any, revision: int) -> None:
    answer = {"services": [{"serviceArn": SERVICE, "taskDefinition": f"{DEFINITION}:{revision}"}]}
    stub.add_response("describe_services", answer, {**CLUSTER, "services": [SERVICE]})


def revisions(stub: Any, used: int, *numbers: int) -> None:
    described(stub, used)
    answer = {"taskDefinitionArns": [f"{DEFINITION}:{number}" for number in numbers]}
    family = {"familyPrefix": "opencodeclouddevgatewayTask", "status": "ACTIVE"}
    stub.add_response("list_task_definitions", answer, family)


def test_a_service_goes_to_the_revision_before_and_the_command_waits_for_its_tasks() -> None:
    client, stub = stubbed("ecs")
    described(stub, 10)
    revisions(stub, 10, 9, 10)
    described(stub, 10)
    stub.add_response("update_service", {}, {**CLUSTER, "service": SERVICE, "taskDefinition": f"{DEFINITION}:9"})
    stable = {"status": "ACTIVE", "desiredCount": 2, "runningCount": 2, "deployments": [{"id": "one"}]}
    stub.add_response("describe_services", {"services": [stable]}, {**CLUSTER, "services": [SERVICE]})
    said: list[str] = []
    roll_back(Code(Functions(None, ()), Services(client, [SERVICE])), said.append)
    stub.assert_no_pending_responses()
    assert said[0] == f"{SERVICE}: 10 -> 9"


def test_a_deployment_of_functions_alone_leaves_no_older_revision_to_a_rollback() -> None:
    (lambda_, functions), (ecs, services) = stubbed("lambda"), stubbed("ecs")
    aliased(functions, "share", "2")
    described(services, 7)
    listed(functions, "share", "1", "2")
    revisions(services, 7, 6, 7)
    described(services, 7)
    services.add_response("deregister_task_definition", {}, {"taskDefinition": f"{DEFINITION}:6"})
    all_code = Code(Functions(lambda_, ["share"]), Services(ecs, [SERVICE]))
    prune(all_code, {"share": 1, SERVICE: 7}, repeated=False)
    functions.assert_no_pending_responses()
    services.assert_no_pending_responses()


def test_each_alias_goes_to_the_version_before_its_own() -> None:
    client, stub = stubbed("lambda")
    aliased(stub, "share", "10")
    aliased(stub, "new", "1")
    listed(stub, "share", "9", "10", "2")
    moved = {"FunctionName": "share", "Name": "live", "FunctionVersion": "9", "Description": ROLLED_BACK}
    stub.add_response("update_alias", {}, moved)
    listed(stub, "new", "1")
    said: list[str] = []
    roll_back(code(client, "share", "new"), said.append)
    stub.assert_no_pending_responses()
    assert said[:2] == ["share: 10 -> 9", "new: 1 stays, there is no older version"]


@pytest.mark.parametrize(("description", "off"), [(ROLLED_BACK, True), ("", False)])
def test_the_deployment_after_a_rollback_has_no_canary(
    monkeypatch: pytest.MonkeyPatch, description: str, off: bool
) -> None:
    monkeypatch.setenv("CANARY", "")
    client, stub = stubbed("lambda")
    answer = {"FunctionVersion": "9", "Description": description}
    stub.add_response("get_alias", answer, {"FunctionName": "share", "Name": "live"})
    at_once_after_a_rollback(Functions(client, ["share"]), say=lambda _: None)
    assert (os.environ["CANARY"] == "off") is off
    stub.add_response("get_alias", answer)
    if off:
        stub.add_response("update_alias", {}, {"FunctionName": "share", "Name": "live", "Description": ""})
    Functions(client, ["share"]).forget_rollback()
    stub.assert_no_pending_responses()


def test_one_deployment_without_canaries_needs_no_change_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "stage.toml"
    file.write_text("canary = true\n")
    named = {"STAGE": "dev", "STAGE_FILE": str(file)}
    assert from_environment({}, named).canary
    assert not from_environment({}, {**named, "CANARY": "off"}).canary


def check_prune(
    before: dict[str, int], published: dict[str, tuple[str, ...]], deleted: dict[str, str], *, repeated: bool = False
) -> None:
    """Require that exactly the version in `deleted` goes of each function. The newest version is in use."""
    client, stub = stubbed("lambda")
    for name, numbers in published.items():
        aliased(stub, name, numbers[-1])
    for name, numbers in published.items():
        listed(stub, name, *numbers)
        if name in deleted:
            gone = {"FunctionName": name, "Qualifier": deleted[name]}
            stub.add_response("delete_function", {"StatusCode": 204}, gone)
    prune(code(client, *published), before, repeated=repeated)
    stub.assert_no_pending_responses()


def test_only_what_a_deployment_changed_can_go_back() -> None:
    published = {"share": ("1", "2", "3"), "mail": ("4", "5")}
    check_prune({"share": 2, "mail": 5}, published, {"share": "1", "mail": "4"})


def test_no_rollback_returns_to_a_version_that_was_rolled_back() -> None:
    check_prune({"share": 1}, {"share": ("1", "2", "3")}, {"share": "2"})


def test_a_repeated_deployment_keeps_the_versions_before_its_first_try() -> None:
    published = {"share": ("1", "2"), "mail": ("4", "5"), "live": ("7",)}
    check_prune({"share": 2, "mail": 4, "live": 7}, published, {}, repeated=True)


def test_a_deployment_that_changes_no_function_keeps_all() -> None:
    client, stub = stubbed("lambda")
    aliased(stub, "share", "2")
    prune(code(client, "share"), {"share": 2}, repeated=False)
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(("status", "failed"), [("UPDATE_ROLLBACK_COMPLETE", True), ("UPDATE_COMPLETE", False)])
def test_a_failed_deployment_is_seen_by_the_next(status: str, failed: bool) -> None:
    client, stub = stubbed("cloudformation")
    for _ in STACKS:
        it = {"StackName": "s", "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": status}
        stub.add_response("describe_stacks", {"Stacks": [it]})
    assert failed_before(client, load("dev", environ={})) is failed


def test_the_migration_is_not_rolled_back() -> None:
    client, stub = stubbed("cloudformation")
    for stack in STACKS:
        if stack == "console":
            named = [
                {"OutputKey": key, "OutputValue": key}
                for key in ("ConsoleFunctionName", "MigrateFunctionName", "HubServiceArn", "X")
            ]
            it = {"StackName": "s", "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": "s", "Outputs": named}
            stub.add_response("describe_stacks", {"Stacks": [it]})
        else:
            stub.add_client_error("describe_stacks", "ValidationError", f"Stack {stack} does not exist")
    found = deployed_code(client, None, None, load("dev", environ={}))
    assert (found.functions.names, found.services.names) == (["ConsoleFunctionName"], ["HubServiceArn"])
