"""The newest published SDK decodes what we answer. `make contract SDK=<version>` runs this against another release.

A tool converts the SDK's types into a JSON Schema. Unknown members are allowed, because clients ignore them.
"""

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from local.stack import LocalStack
from tests.integration.people import People

from .binaries import CLIENTS
from .images import image_part
from .model import bash, read, script, write
from .opencode import Client
from .shares import Share, wait_for_complete_copy

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("client")]

SDK = Path(os.environ.get("OPENCODE_SDK", CLIENTS / "@opencode-ai" / "sdk"))
GENERATOR = CLIENTS / ".bin" / "ts-json-schema-generator"
TYPES = "dist/v2/gen/types.gen.d.ts"
"""The SDK's newest programming interface. Its first one describes diffs that clients no longer send."""


@cache
def schema_of(name: str) -> Draft7Validator:
    """Return the schema of one of the SDK's types."""
    assert GENERATOR.exists(), "the SDK is not installed: run `make clients`"
    command = [GENERATOR, "--path", SDK / TYPES, "--type", name, "--no-type-check", "--additional-properties"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 0, f"{name} of {SDK}: {told.stderr}"
    return Draft7Validator(json.loads(told.stdout))


def faults_of(name: str, value: Any) -> list[str]:
    """Return each member that is missing or of another type, with its path. Judge the likeliest branch of a union."""
    errors = schema_of(name).iter_errors(value)
    return [f"{name}: {error.json_path}: {message}" for error in errors for message in explain(error)]


def explain(error: Any) -> list[str]:
    if not error.context:
        return [error.message]
    branches: dict[int, list[Any]] = {}
    for each in error.context:
        branches.setdefault(each.relative_schema_path[0], []).append(each)

    def distance(branch: list[Any]) -> tuple[bool, int]:
        """A branch with another constant, such as another `type`, is another variant."""
        return any(each.validator == "const" for each in branch), len(branch)

    return [f"{each.json_path}: {text}" for each in min(branches.values(), key=distance) for text in explain(each)]


def test_a_fault_is_named() -> None:
    part = {"id": "prt_1", "sessionID": "ses_1", "messageID": "msg_1", "type": "text"}
    assert any("'text' is a required property" in fault for fault in faults_of("Part", part))
    assert faults_of("Part", part | {"text": "x", "unknown": 1}) == []


def test_every_item_of_a_share(client: Client) -> None:
    session = client.start_session("For the SDK")
    file = "contract.txt"
    session.prompt(script(write(file, "one\n"), read(file), bash("exit 3"), say="Done."), image_part(9_000, "a.png"))
    session.prompt("Go on.")
    session.revert(session.messages()[2]["info"]["id"])
    share = Share.at(session.share())
    wait_for_complete_copy(session, share)

    items = share.data()
    names = {"session": "Session", "message": "Message", "part": "Part"}
    assert {item["type"] for item in items} >= names.keys()
    faults = [
        fault for item in items if item["type"] in names for fault in faults_of(names[item["type"]], item["data"])
    ]
    assert faults == []


def test_the_configuration_and_the_policy(stack: LocalStack) -> None:
    people = People(stack)
    owner = people.somebody()
    workspace = owner.found("Contract")
    base = f"/api/v1/workspaces/{workspace}"
    documents: dict[str, Any] = {
        "configuration": {
            "username": "acme",
            "agent": {"review": {"prompt": "Review.", "tools": {"write": False}}},
            "mcp": {"docs": {"type": "remote", "url": "https://mcp.example.com"}},
            "provider": {"acme": {"npm": "@ai-sdk/openai", "models": {"m1": {"name": "M1"}}}},
        },
        "policy": {
            "share": {"mode": "off"},
            "models": {"deny": ["acme/m2"]},
            "providers": {"deny": ["groq"]},
            "tools": {"deny": ["webfetch"]},
        },
    }
    for name, document in documents.items():
        answer = owner.http.put(f"{base}/{name}", json={name: document}, headers={"If-Match": '"0"'})
        assert answer.is_success, answer.text
    headers = {"x-org-id": workspace}

    first = owner.http.get("/api/config", headers=headers).json()
    second = owner.http.get("/api/v2/config", headers=headers).json()

    assert faults_of("Config", first["config"]) == []
    statements = second["experimental"]["policies"]
    of_providers = [each for each in statements if each["action"] == "provider.use"]
    assert of_providers
    assert [fault for each in of_providers for fault in faults_of("ConfigV2ExperimentalPolicy", each)] == []
    # The published types do not have statements about tools yet: https://github.com/anomalyco/opencode/pull/49729.
    of_tools = [each for each in statements if each["action"] == "permission"]
    assert {"action": "permission", "resource": "webfetch:*", "effect": "deny"} in of_tools
    assert [fault for each in of_tools for fault in faults_of("PolicyEffect", each["effect"])] == []
