"""Back to the versions before a deployment."""

from typing import Any

from infra.operations.rollback import functions, prune, roll_back
from infra.operations.stages import STACKS
from infra.stage import load
from tests.infra.operations.stubs import stubbed


def listed(stub: Any, name: str, *numbers: str) -> None:
    versions = [{"Version": number} for number in ("$LATEST", *numbers)]
    stub.add_response("list_versions_by_function", {"Versions": versions}, {"FunctionName": name})


def aliased(stub: Any, name: str, version: str) -> None:
    stub.add_response("get_alias", {"FunctionVersion": version}, {"FunctionName": name, "Name": "live"})


def test_each_alias_goes_to_the_version_before_its_own() -> None:
    client, stub = stubbed("lambda")
    aliased(stub, "share", "10")
    listed(stub, "share", "9", "10", "2")
    moved = {"FunctionName": "share", "Name": "live", "FunctionVersion": "9"}
    stub.add_response("update_alias", {}, moved)
    aliased(stub, "new", "1")
    listed(stub, "new", "1")
    said: list[str] = []
    roll_back(client, ["share", "new"], said.append)
    stub.assert_no_pending_responses()
    assert said[:2] == ["share: 10 -> 9", "new: 1 stays, there is no older version"]


def test_old_versions_are_deleted_but_never_the_one_in_use() -> None:
    client, stub = stubbed("lambda")
    aliased(stub, "share", "2")
    listed(stub, "share", "1", "2", "3", "4")
    stub.add_response("delete_function", {"StatusCode": 204}, {"FunctionName": "share", "Qualifier": "1"})
    prune(client, ["share"])
    stub.assert_no_pending_responses()


def test_the_migration_is_not_rolled_back() -> None:
    client, stub = stubbed("cloudformation")
    for stack in STACKS:
        if stack == "console":
            named = [
                {"OutputKey": key, "OutputValue": key} for key in ("ConsoleFunctionName", "MigrateFunctionName", "X")
            ]
            it = {"StackName": "s", "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": "s", "Outputs": named}
            stub.add_response("describe_stacks", {"Stacks": [it]})
        else:
            stub.add_client_error("describe_stacks", "ValidationError", f"Stack {stack} does not exist")
    assert functions(client, load("dev", environ={})) == ["ConsoleFunctionName"]
