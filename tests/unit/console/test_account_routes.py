"""Routes of the API for people tell a key that they are for people; other credentials are asked to log in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_cloud.contracts.permissions import KeyScope, Role
from opencode_cloud.keys.service import CreateKey
from tests.unit.console.office import HOST, Office


def ask(office: Office, bearer: str) -> tuple[int, str]:
    path = "/api/v1/workspaces"
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"authorization": f"Bearer {bearer}"},
        "requestContext": {
            "http": {"method": "GET", "path": path, "sourceIp": "203.0.113.7"},
            "stage": "$default",
            "requestId": "request",
            "domainName": HOST,
        },
    }
    answer = office.answer(event)
    return answer["statusCode"], json.loads(answer["body"]).get("code", "")


def test_a_valid_key_is_told_that_the_route_is_for_people(office: Office) -> None:
    admin = office.acting(office.people[Role.ADMIN])
    key = office.team.keys.create(admin, office.workspace, CreateKey(name="x", scopes=[*KeyScope]))
    assert ask(office, key.secret) == (403, "account_required")
    office.team.keys.revoke(admin, office.workspace, key.id)
    assert ask(office, key.secret) == (401, "login_required")


@pytest.mark.parametrize("bearer", ["oc_sk_unknown", "eyJ.x.y", "anything"])
def test_other_credentials_learn_nothing(office: Office, bearer: str) -> None:
    assert ask(office, bearer) == (401, "login_required")
