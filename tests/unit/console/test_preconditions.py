"""The document of the API says of each operation whether it needs `If-Match`, and what it answers to other bodies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from opencode_cloud.contracts.permissions import Role
from tests.unit.console.office import HOST, Office

ROOT = Path(__file__).resolve().parents[3]
WORKSPACE = "/api/v1/workspaces/{workspace}"
PATHS: dict[str, dict[str, Any]] = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
CHANGES = [
    (method, path, operation)
    for path, item in PATHS.items()
    for method, operation in item.items()
    if path.startswith(WORKSPACE) and method != "get"
]
ELSEWHERE = re.compile(r"/(auto-reload|invoices|payment-portal|plan|refunds|shares|top-ups)\b")
"""Operations of the functions `payments` and `share`."""


def answered(office: Office, method: str, path: str, body: str = "", content_type: str = "application/json") -> int:
    """Send a request as the owner's browser does, without `If-Match`; return the status."""
    path = path.replace("{workspace}", office.workspace).replace("{version}", "1")
    path = re.sub(r"\{\w+\}", "unknown", path)
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": HOST, "sec-fetch-site": "same-origin", "content-type": content_type},
        "cookies": [f"__Host-opencode_session={office.people[Role.OWNER].session_id}"],
        "body": body,
        "isBase64Encoded": False,
        "requestContext": {
            "http": {"method": method.upper(), "path": path, "sourceIp": "203.0.113.7"},
            "stage": "$default",
            "requestId": "request",
            "domainName": HOST,
            "timeEpoch": 0,
        },
    }
    return office.answer(event)["statusCode"]


def example_of(operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return json.dumps(content["example"]) if "example" in content else ""


def test_the_document_says_of_each_change_whether_it_must_name_the_version(office: Office) -> None:
    required, documented, undocumented_status = set[str](), set[str](), set[str]()
    for method, path, operation in CHANGES:
        name = f"{method.upper()} {path}"
        if ELSEWHERE.search(path):
            continue
        if answered(office, method, path, example_of(operation)) == 428:
            required.add(name)
        if any(each.get("name") == "If-Match" and each["required"] for each in operation["parameters"]):
            documented.add(name)
            undocumented_status |= {name} if not {"412", "428"} <= operation["responses"].keys() else set()
    assert required == documented
    assert f"POST {WORKSPACE}/policy/versions/{{version}}/restore" in documented
    assert undocumented_status == set()


def test_a_body_of_another_kind_is_answered_as_documented(office: Office) -> None:
    for method, path, operation in CHANGES:
        assert ("415" in operation["responses"]) == ("requestBody" in operation), path
        if "requestBody" in operation and not ELSEWHERE.search(path):
            assert answered(office, method, path, "name=a", "application/x-www-form-urlencoded") == 415, path
