"""The commands of the documents, as bash runs them, against the deployed stage."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from local.stack import LocalStack
from opencode_cloud.contracts.ids import CallId, MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.clock import now_ms, utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.mail import mails
from opencode_cloud.schema.usage_events import to_row
from opencode_cloud.schema.workspaces import invitations
from tests.documented_commands import RUN, documented
from tests.integration.people import People, Person
from tests.integration.tokens import access_token
from tests.integration.world import must
from tests.waiting import until

LIBRARY = Path(__file__).parents[2] / "layers" / "core"
SESSION = "ses_documented"
PRELUDE = r"""
set -euo pipefail
curl() { command curl --silent --show-error --fail-with-body "${@/-fsS/-sS}"; echo; }
python() {
  local words=("$@")
  for at in "${!words[@]}"; do
    if [ "${words[at]}" = --stage ]; then words[at+1]=local; fi
  done
  "$PYTHON" "${words[@]}"
}
api() { curl -X "$1" "$HOST/api/v1$2" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' "${@:3}"; }
"""


@dataclass
class Place:
    """A new workspace of a new person."""

    stack: LocalStack
    people: People
    owner: Person
    workspace: str

    def make(self, path: str, **body: Any) -> str:
        """Create something in the workspace, and return its id."""
        return must(self.owner.http.post(f"{self.base}/{path}", json=body))["id"]

    def publish(self, document: str, version: int, content: dict[str, Any]) -> None:
        """Publish the version after ``version`` of the policy."""
        headers = {"If-Match": f'"{version}"'}
        must(self.owner.http.put(f"{self.base}/{document}", json={document: content}, headers=headers))

    @property
    def base(self) -> str:
        return f"/api/v1/workspaces/{self.workspace}"

    @property
    def member(self) -> str:
        return must(self.owner.http.get(f"{self.base}/members"))["data"][0]["id"]


@pytest.fixture
def place(stack: LocalStack) -> Place:
    people = People(stack)
    owner = people.somebody()
    return Place(stack, people, owner, owner.found())


def budgets(place: Place) -> dict[str, str]:
    budget = place.make("budgets", scope="workspace", unit="cost", period="month", limit=2_000_000_000)
    return {"KEY_ID": place.make("keys", name="laptop"), "BUDGET": budget}


def one_policy(place: Place) -> dict[str, str]:
    place.publish("policy", 0, {})
    return {}


def four_policies(place: Place) -> dict[str, str]:
    for version in range(4):
        place.publish("policy", version, {"session_budget": 100_000_000 * (version + 1)})
    return {}


def a_call(place: Place) -> dict[str, str]:
    """Leave the event of a model call behind, as the gateway does."""
    event = UsageEvent(
        id=CallId(new_id("call")),
        at=now_ms(),
        workspace_id=WorkspaceId(place.workspace),
        member_id=MemberId(place.member),
        model="acme/m1",
        session=SESSION,
        cost=1,
    )
    place.stack.client("dynamodb").put_item(TableName=place.stack.outputs["UsageTableName"], Item=to_row(event))
    until(lambda: place.owner.http.get(f"{place.base}/usage/events/{event.id}").status_code == 200)
    return {"CALL": event.id}


def an_export(place: Place) -> dict[str, str]:
    period = {"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}
    return {"EXPORT": place.make("usage/exports", **period)}


def people(place: Place) -> dict[str, str]:
    bob = place.people.joined(place.owner, place.workspace, Role.MEMBER)
    members = must(place.owner.http.get(f"{place.base}/members"))["data"]
    (member,) = [each["id"] for each in members if each["email"] == bob.email]
    invited = place.make("invitations", email=f"{secrets.token_hex(6)}@example.com", role="member")
    database = Database(place.stack.database.access.url())
    with database.transaction() as connection:
        # A mail is sent again after a minute.
        sent = {"created_at": utc_now() - timedelta(hours=1)}
        mail = select(invitations.c.mail_id).where(invitations.c.id == invited).scalar_subquery()
        connection.execute(mails.update().where(mails.c.id == mail).values(sent))
    database.dispose()
    return {"MEMBER": member, "INVITATION": invited}


def a_machine(place: Place) -> dict[str, str]:
    return {"MACHINE": place.make("service-accounts", name="builder"), "KEY": place.make("keys", name="old")}


def a_group(place: Place) -> dict[str, str]:
    other = place.people.joined(place.owner, place.workspace, Role.MEMBER)
    members = {each["email"]: each["id"] for each in must(place.owner.http.get(f"{place.base}/members"))["data"]}
    found = {"OTHER": members.pop(other.email), "GROUP": place.make("groups", name="Research")}
    return {**found, "MEMBER": next(iter(members.values()))}


def a_credential(place: Place) -> dict[str, str]:
    return {
        "CREDENTIAL": place.make("providers", provider="openai", name="first", secret="sk-" + secrets.token_hex(16))
    }


PREPARED: dict[str, Callable[[Place], dict[str, str]]] = {
    "docs/budgets.md: api() {": budgets,
    "docs/budgets.md: api PUT /workspaces/$W/policy": one_policy,
    'docs/configuration.md: api "$HOST': four_policies,
    "docs/groups.md: api PATCH": a_group,
    'docs/usage.md: api GET "/workspaces/$W/usage/totals': a_call,
    'docs/usage.md: api GET "/workspaces/$W/usage/sessions': a_call,
    "docs/usage.md: api POST": an_export,
    "docs/workspaces.md: api POST  /workspaces/$W/invitations": people,
    "docs/workspaces.md: api POST /workspaces/$W/service-accounts": a_machine,
    "docs/workspaces.md: api POST /workspaces/$W/providers": a_credential,
}
API_OF_CONFIGURATION = (
    'api() { curl -fsS -H "Authorization: Bearer $TOKEN" -H \'Content-Type: application/json\' "$@"; }\n'
)
"""The function that the first block of docs/configuration.md defines for the others."""


def script(name: str) -> str:
    """Return the commands of a block, without those that wait for a person or name another host."""
    (block,) = [each for each in documented() if each.is_named(name)]
    text = re.sub(r"^export HOST=.*\n", "", block.text)
    # A person approves the device between the two requests, so tests/e2e/test_login.py does that.
    text = re.sub(r"\A# An access token.*?\n\n", "", text, flags=re.DOTALL)
    text = text.replace("ses_...", SESSION).replace("wrk_...", "$W").replace("sk-ant-...", "sk-ant-" + "0" * 32)
    return (API_OF_CONFIGURATION if name.startswith("docs/configuration.md: api") else "") + text


@pytest.mark.parametrize("name", RUN)
def test_the_commands_of_a_document_succeed(stack: LocalStack, place: Place, tmp_path: Path, name: str) -> None:
    settings = stack.client_settings()
    variables = {
        "HOST": stack.url,
        "TOKEN": access_token(stack, place.owner),
        "W": place.workspace,
        "WORKSPACE": place.workspace,
        "PYTHON": sys.executable,
        "PYTHONPATH": str(LIBRARY),
        "AWS_ENDPOINT_URL": settings["endpoint_url"],
        "AWS_REGION": settings["region_name"],
        "AWS_DEFAULT_REGION": settings["region_name"],
        "AWS_ACCESS_KEY_ID": settings["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": settings["aws_secret_access_key"],
        **PREPARED.get(name, lambda _: {})(place),
    }
    done = subprocess.run(
        ["bash", "-c", PRELUDE + script(name)],
        cwd=tmp_path,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
