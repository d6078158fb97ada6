"""The document of the API says of each operation whether it needs `If-Match`, and what it answers to other bodies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from opencode_cloud.contracts.permissions import KeyScope, Role
from opencode_cloud.keys.service import CreateKey
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
    return send(office, method, re.sub(r"\{\w+\}", "unknown", path), body, {"content-type": content_type})["statusCode"]


def send(office: Office, method: str, path: str, body: str, headers: dict[str, str]) -> dict[str, Any]:
    """Send a request as the owner's browser does; return the answer, with the names of headers in small letters."""
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": HOST, "sec-fetch-site": "same-origin", "content-type": "application/json", **headers},
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
    answer = office.answer(event)
    several = {name: values[0] for name, values in answer.get("multiValueHeaders", {}).items()}
    return {**answer, "headers": {name.lower(): value for name, value in {**answer["headers"], **several}.items()}}


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


def conditional(office: Office) -> dict[str, tuple[str, str]]:
    """Return a key, a member and a domain: the path of each, and the body of a change, by its documented path."""
    actor, base = office.acting(office.owner), f"/api/v1/workspaces/{office.workspace}"
    key = office.team.keys.create(actor, office.workspace, CreateKey(name="laptop", scopes=[KeyScope.USAGE]))
    member = office.acting(office.people[Role.MEMBER])
    domain = office.team.domains.add(actor, office.workspace, "example.org", Role.MEMBER, auto_join=True)
    return {
        "/keys/{key}": (f"{base}/keys/{key.id}", '{"name": "desktop"}'),
        "/members/{member}": (f"{base}/members/{member.id}", '{"role": "viewer"}'),
        "/domains/{domain}": (f"{base}/domains/{domain.id}", '{"auto_join": false}'),
    }


def test_a_change_that_may_name_the_state_is_refused_for_another_one_with_the_present_tag(office: Office) -> None:
    for part, (path, change) in conditional(office).items():
        first = send(office, "GET", path, "", {})["headers"]["etag"]
        changed = send(office, "PATCH", path, change, {"if-match": f"W/{first}"})
        second = changed["headers"]["etag"]
        assert (changed["statusCode"], second != first) == (200, True), part
        assert send(office, "GET", path, "", {})["headers"]["etag"] == second
        for method, body in (("PATCH", change), ("DELETE", "")):
            refused = send(office, method, path, body, {"if-match": first})
            assert (refused["statusCode"], refused["headers"]["etag"]) == (412, second), part
            assert json.loads(refused["body"])["code"] == "stale_version"
        assert send(office, "GET", path, "", {})["headers"]["etag"] == second
        assert send(office, "PATCH", path, change, {})["statusCode"] == 200, part
        last = send(office, "GET", path, "", {})["headers"]["etag"]
        assert send(office, "DELETE", path, "", {"if-match": last})["statusCode"] == 204, part


def test_the_document_says_of_each_change_whether_it_may_name_the_state(office: Office) -> None:
    documented = {
        f"{method.upper()} {path}"
        for method, path, operation in CHANGES
        if any(each.get("name") == "If-Match" and not each["required"] for each in operation["parameters"])
    }
    assert documented == {
        f"{method} {WORKSPACE}{part}" for part in conditional(office) for method in ("PATCH", "DELETE")
    }
    assert all(
        "412" in PATHS[name.partition(" ")[2]][name.partition(" ")[0].lower()]["responses"] for name in documented
    )
