"""The unmodified client reads the published configuration of its workspace."""

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.deployment import CREDENTIALS, REGION
from local.stack import LocalStack
from opencode_cloud.access.models import ProjectionKey, ProjectionKind
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.sql import Database
from opencode_cloud.policies.models import Versioned
from opencode_cloud.policies.service import WellKnown
from opencode_cloud.policies.service.well_known import ENVIRONMENT
from opencode_cloud.policies.store import SiteStore
from opencode_cloud.policies.validation import faults_of
from tests.client_schema import COPY, configuration_schema, encode
from tests.emulator.outbox.planes import KEY, Planes, Team, publisher_of
from tests.integration.offered import own_config
from tests.ministack import forget_clients
from tests.waiting import PATIENCE

from .conftest import MakeHome
from .opencode import Client, Home

POLICY, CONFIGURATION = Versioned.POLICY, Versioned.CONFIGURATION
HERE = "http://127.0.0.1:9"
GATEWAY: dict[str, Any] = {
    "acme": {
        "name": "Acme",
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{HERE}/v1", "apiKey": "{env:OPENCODE_CONSOLE_TOKEN}"},
        "models": {
            "m1": {"name": "M1", "tool_call": True, "limit": {"context": 200_000, "output": 32_000}},
            "m2": {"name": "M2", "cost": {"input": 1, "output": 2}},
        },
    }
}


class Office:
    """Teams of the deployed stage, and publishing for them."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        outputs = stack.outputs
        database = Database(stack.database.access.url())
        self.planes = Planes(database, outputs["AccessTableName"], outputs["RelayQueueUrl"])
        self.publisher = publisher_of(self.planes)

    def team(self) -> Team:
        team = self.planes.found()
        self.planes.projection.project_all(WorkspaceId(team.workspace))
        self.planes.projection.project([ProjectionKey(ProjectionKind.ACCOUNT, team.account)])
        return team

    def publish(self, team: Team, kind: Versioned, document: dict[str, Any]) -> None:
        actor = Actor(
            kind=ActorKind.MEMBER,
            credential=CredentialKind.SESSION,
            id=team.member,
            name="ada@example.com",
            role=Role.OWNER,
        )
        read = self.publisher.current(kind, WorkspaceId(team.workspace)).version
        self.publisher.publish(actor, WorkspaceId(team.workspace), kind, document, read, here=HERE)


@pytest.fixture(scope="module")
def office(stack: LocalStack) -> Iterator[Office]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": stack.emulator_url,
            "AWS_DEFAULT_REGION": REGION,
        }.items():
            patch.setitem(os.environ, name, value)
        forget_clients()
        yield Office(stack)
    forget_clients()


def log_in(home: Home, url: str, team: Team) -> None:
    """Write the state of `opencode console login`, with a key in place of an access token: both identify the caller."""
    now = int(time.time() * 1000)
    account = (team.account, f"{team.account}@example.com", url, KEY + team.key, "none", now + 86_400_000, now, now)
    with closing(sqlite3.connect(home.database())) as connection, connection:
        connection.execute("INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?)", account)
        connection.execute("INSERT OR REPLACE INTO account_state VALUES (1, ?, ?)", (team.account, team.workspace))


@contextmanager
def started(home: Home, url: str, team: Team) -> Iterator[Client]:
    """Run a client of `team`."""
    log_in(home, url, team)
    with home.serve() as client:
        yield client


def test_the_workspaces_config_arrives_and_beats_the_projects(office: Office, make_home: MakeHome) -> None:
    team, home = office.team(), make_home()
    (home.project / "opencode.json").write_text(json.dumps({"username": "project", "model": "a/b", "share": "auto"}))
    office.publish(team, CONFIGURATION, {"username": "acme", "provider": GATEWAY})
    office.publish(
        team, POLICY, {"share": {"mode": "off"}, "default_model": "acme/m1", "models": {"deny": ["acme/m2"]}}
    )
    with started(home, office.stack.url, team) as client:
        config = client.call("GET", "/config")
        assert (config["username"], config["model"], config["share"]) == ("acme", "acme/m1", "disabled")
        provider = config["provider"]["acme"]
        assert provider["options"]["apiKey"] == KEY + team.key
        assert provider["options"]["headers"] == {"x-org-id": team.workspace}
        known = {each["id"]: each for each in client.call("GET", "/config/providers")["providers"]}
        assert list(known["acme"]["models"]) == ["m1"]


@pytest.mark.slow
def test_a_client_of_a_workspace_without_config_goes_on_with_its_own(office: Office, make_home: MakeHome) -> None:
    team, home = office.team(), make_home()
    (home.project / "opencode.json").write_text(json.dumps({"username": "project"}))
    with started(home, office.stack.url, team) as client:
        assert client.call("GET", "/config")["username"] == "project"


@pytest.mark.slow
def test_tools_that_the_policy_denies_are_denied_to_every_agent(office: Office, make_home: MakeHome) -> None:
    team, home = office.team(), make_home()
    (home.project / "opencode.json").write_text(json.dumps({"permission": {"bash": "allow", "webfetch": "allow"}}))
    office.publish(team, POLICY, {"tools": {"allow": ["read", "grep"], "deny": ["grep"]}})
    with started(home, office.stack.url, team) as client:
        build = next(each for each in client.call("GET", "/agent") if each["name"] == "build")
        verdicts = {rule["permission"]: rule["action"] for rule in build["permission"] if rule["pattern"] == "*"}
        assert verdicts["bash"] == verdicts["webfetch"] == verdicts["edit"] == verdicts["grep"] == "deny"
        assert verdicts["read"] == "allow"


def test_an_edited_client_changes_nothing_about_what_is_enforced(office: Office) -> None:
    team = office.team()
    office.publish(team, POLICY, {"share": {"mode": "off"}})
    bearer = {"Authorization": f"Bearer {KEY}{team.key}", "x-org-id": team.workspace}
    # As a client that does not fetch its workspace's configuration, or ignores it.
    session = {"sessionID": "ses_dfa24518fffel34FgoBVQtoY1M"}
    answer = httpx.post(f"{office.stack.url}/api/shares", headers=bearer, json=session, timeout=PATIENCE)
    assert answer.status_code == 403, answer.text
    assert own_config(httpx.get(f"{office.stack.url}/api/config", headers=bearer, timeout=PATIENCE)) == {
        "share": "disabled"
    }


RICH: dict[str, Any] = {
    "$schema": "https://opencode.ai/config.json",
    "provider": GATEWAY,
    "model": "acme/m1",
    "permission": {"bash": {"*": "ask", "git *": "allow"}, "webfetch": "deny"},
    "tools": {"write": False},
    "agent": {
        "build": {"color": "#ff0000", "temperature": 0.1, "permission": {"edit": "ask"}},
        "review": {"mode": "all"},
    },
    "command": {"test": {"template": "Run the tests", "description": "tests"}},
    "mcp": {"docs": {"type": "remote", "url": "http://127.0.0.1:9/mcp", "enabled": False}},
    "instructions": ["CONTRIBUTING.md"],
    "experimental": {"batch_tool": True, "policies": [{"action": "provider.use", "effect": "allow", "resource": "*"}]},
    "compaction": {"auto": True, "preserve_recent_tokens": 4000},
    "enterprise": {"url": "http://127.0.0.1:9"},
    "enabled_providers": ["acme", "scripted"],
}
POLICIES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "everything": {
        "providers": {"allow": ["acme", "scripted", "o*"], "deny": ["openai"]},
        "models": {"allow": ["acme/m1", "scripted/*"], "deny": ["*/m2"]},
        "default_model": "acme/m1",
        "small_model": "acme/m1",
        "share": {"mode": "workspace", "max_lifetime_seconds": 3600},
        "tools": {"allow": ["bash", "read", "mcp_*"], "deny": ["webfetch"]},
    },
    "exact": {"providers": {"allow": ["acme"]}, "models": {"allow": ["acme/m1", "openai/gpt-5"]}},
    "none": {"providers": {"allow": []}, "tools": {"allow": []}},
}


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_the_client_starts_with_whatever_was_published(
    office: Office, make_home: MakeHome, policy: dict[str, Any]
) -> None:
    team, home = office.team(), make_home()
    office.publish(team, CONFIGURATION, RICH)
    office.publish(team, POLICY, policy)
    with started(home, office.stack.url, team) as client:
        config = client.call("GET", "/config")
        assert config["command"]["test"]["template"] == "Run the tests"


@pytest.mark.slow
def test_a_client_would_not_start_with_what_we_refuse(office: Office, make_home: MakeHome) -> None:
    """This shows that the tests before it can fail."""
    team, home = office.team(), make_home()
    wrong = {"share": "sometimes"}
    assert faults_of(wrong)
    place = ProjectionKey(ProjectionKind.CONFIGURATION, team.workspace)
    value = {"etag": "x", "config": wrong, "providers": {}}
    row = {"pk": place.row[0], "sk": place.row[1], "value": json.dumps(value)}
    item = {name: {"S": text} for name, text in row.items()} | {"version": {"N": "9999999999999999"}}
    office.stack.client("dynamodb").put_item(TableName=office.planes.table, Item=item)
    with started(home, office.stack.url, team) as client, pytest.raises(AssertionError, match="/config"):
        client.call("GET", "/config")


# ------------------------------------------------------------------------------------------------ the schema


@pytest.mark.slow
@pytest.mark.xdist_group("client")
def test_our_copy_of_the_clients_schema_is_what_the_client_says(client: Client) -> None:
    assert encode(configuration_schema(client.call("GET", "/doc"))) == COPY.read_text()


SECTIONS = ["agent", "attachment", "command", "compaction", "disabled_providers", "enabled_providers", "enterprise"]
SECTIONS += ["experimental", "model", "permission", "provider", "share", "small_model", "subagent_depth", "tool_output"]
SECTIONS += ["tools", "username", "autoupdate", "default_agent", "layout", "snapshot", "watcher", "$schema", "unknown"]
"""Sections of the configuration, except those that make the client run, read or fetch something."""
WORDS = [
    "acme",
    "models",
    "m1",
    "options",
    "headers",
    "name",
    "cost",
    "input",
    "output",
    "limit",
    "context",
    "bash",
    "*",
]
WORDS += ["url", "policies", "effect", "action", "resource", "provider.use", "allow", "deny", "ask", "color"]
WORDS += [
    "#ffffff",
    "template",
    "auto",
    "manual",
    "max_lines",
    "mode",
    "primary",
    "steps",
    "temperature",
    "image",
    "max_width",
]
LEAVES = st.sampled_from([*WORDS, True, False, 0, 1, -1, 1.5, 2**53 - 1, 2**53, 1e300, "", "ünï", "#fffff\n", [], {}])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=10,
)
DECISION = st.sampled_from(["allow", "ask", "deny"])
SOUND = st.fixed_dictionaries(
    {},
    optional={
        "model": st.just("acme/m1"),
        "share": st.sampled_from(["manual", "auto", "disabled"]),
        "instructions": st.lists(st.sampled_from(["A.md", "B.md"]), max_size=2),
        "permission": st.dictionaries(st.sampled_from(["bash", "edit", "webfetch"]), DECISION, max_size=2),
    },
)
"""Valid values, so that the client accepts some documents. Arbitrary values are laid over them."""
DOCUMENTS = st.builds(
    lambda sound, wild: sound | wild, SOUND, st.dictionaries(st.sampled_from(SECTIONS), VALUES, max_size=2)
)


@pytest.fixture(scope="module")
def judge(make_home: MakeHome) -> Iterator[Client]:
    """Run a client as the judge: its own API validates configurations by the same schema."""
    with make_home().serve() as running:
        yield running


@pytest.mark.slow
def test_what_we_accept_the_client_accepts(judge: Client) -> None:
    accepted = 0

    @given(DOCUMENTS)
    @settings(max_examples=400, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
    def judged(document: dict[str, Any]) -> None:
        nonlocal accepted
        if faults_of(document):
            return
        accepted += 1
        answer = judge.http.patch("/config", json=document)
        assert answer.is_success, answer.text

    judged()
    assert accepted > 20


# ---------------------------------------------------------------------------------------------- well-known


@pytest.mark.slow
def test_auth_login_stores_the_key_and_the_config_is_the_lowest_layer(office: Office, make_home: MakeHome) -> None:
    team, home, url = office.team(), make_home(), office.stack.url
    site = WellKnown(SiteStore(office.stack.outputs["SiteBucketName"]), "")
    site.publish({"username": "everybody", "instructions": ["HOUSE.md"]})
    try:
        home.run("auth", "login", url, environment={ENVIRONMENT: KEY + team.key})
        stored = json.loads((home.root / "data" / "opencode" / "auth.json").read_text())
        assert stored == {url: {"type": "wellknown", "key": ENVIRONMENT, "token": KEY + team.key}}
        with home.serve() as client:
            assert client.call("GET", "/config")["username"] == "everybody"
        (home.project / "opencode.json").write_text(json.dumps({"username": "project"}))
        with home.serve() as client:
            config = client.call("GET", "/config")
            assert (config["username"], config["instructions"]) == ("project", ["HOUSE.md"])
    finally:
        site.publish_default()


@pytest.mark.slow
def test_auth_login_without_key_or_terminal_says_what_to_do(office: Office, make_home: MakeHome) -> None:
    home = make_home()
    done = subprocess.run(
        [home.binary, "auth", "login", office.stack.url],
        cwd=home.project,
        env=home.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
        check=False,
    )
    assert f"set {ENVIRONMENT}" in done.stdout + done.stderr
    assert not (home.root / "data" / "opencode" / "auth.json").exists()


@pytest.mark.slow
def test_a_client_starts_with_the_document_of_a_fresh_deployment(office: Office, make_home: MakeHome) -> None:
    team, home = office.team(), make_home()
    home.run("auth", "login", office.stack.url, environment={ENVIRONMENT: KEY + team.key})
    with home.serve() as client:
        assert client.call("GET", "/config")
