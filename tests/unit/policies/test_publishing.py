"""Publishing over the real database: versions, conflicts, and audit entries."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import select

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.outbox import OutboxMessage, Topic
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import PreconditionFailed, ServiceError
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.sql import Database
from opencode_cloud.outbox.service import Outbox, WakeUp
from opencode_cloud.outbox.store import OutboxStore
from opencode_cloud.policies.models import InvalidDocument, OwnerRequired, Versioned
from opencode_cloud.policies.service import Compiler, Publisher
from opencode_cloud.policies.store import DocumentStore
from opencode_cloud.policies.validation import form_faults
from opencode_cloud.schema.audit import audit_entries
from opencode_cloud.schema.workspaces import workspaces

POLICY, CONFIGURATION = Versioned.POLICY, Versioned.CONFIGURATION
ACTOR = Actor(
    kind=ActorKind.MEMBER, credential=CredentialKind.SESSION, id="mem_1", name="ada@example.com", role=Role.OWNER
)
ADMIN = replace(ACTOR, role=Role.ADMIN)


class QuietStore(OutboxStore):
    """The outbox's table, without the relay's queue."""

    def wake(self, wake_up: WakeUp) -> None:
        pass


@dataclass
class Desk:
    """A publisher, and its messages to the other planes."""

    database: Database
    workspace: str
    messages: list[OutboxMessage] = field(default_factory=list[OutboxMessage])

    def __post_init__(self) -> None:
        self.store = DocumentStore(self.database)
        outbox = Outbox(QuietStore(self.database, "no queue"), self._relay)
        self.publisher = Publisher(self.store, outbox, AuditTrail(AuditStore()))

    def _relay(self, messages: Sequence[OutboxMessage]) -> None:
        self.messages.extend(messages)

    def publish(self, kind: Versioned, document: dict[str, Any], read: int) -> int:
        return self.publisher.publish(ACTOR, WorkspaceId(self.workspace), kind, document, read).version

    def compiled(self) -> dict[str, Any]:
        return self.publisher.compiled(WorkspaceId(self.workspace))

    def trail(self) -> list[Any]:
        with self.database.transaction() as connection:
            return list(connection.execute(select(audit_entries).order_by(audit_entries.c.id)).all())


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database, new_workspace(database))


def new_workspace(database: Database) -> str:
    workspace, now = new_id("wrk"), utc_now()
    with database.transaction() as connection:
        connection.execute(workspaces.insert(), {"id": workspace, "name": "Acme", "created_at": now, "updated_at": now})
    return workspace


def test_before_the_first_version_nothing_is_said(desk: Desk) -> None:
    assert desk.publisher.current(CONFIGURATION, WorkspaceId(desk.workspace)).version == 0
    assert desk.publisher.current(POLICY, WorkspaceId(desk.workspace)).document["share"]["mode"] == "link"
    assert desk.compiled() == {}
    with desk.database.transaction() as connection:
        assert Compiler(desk.store).configuration(connection, WorkspaceId(desk.workspace)) is None
        assert Compiler(desk.store).enforced_policy(connection, WorkspaceId(desk.workspace)).version == 0


def test_versions_count_up_and_are_all_kept(desk: Desk) -> None:
    for number in range(3):
        assert desk.publish(CONFIGURATION, {"model": f"acme/m{number}"}, number) == number + 1
    listed = desk.publisher.versions(CONFIGURATION, WorkspaceId(desk.workspace), None, 2)
    assert [each.version for each in listed] == [3, 2]
    assert [each.version for each in desk.publisher.versions(CONFIGURATION, WorkspaceId(desk.workspace), 2, 10)] == [1]
    assert desk.publisher.revision(CONFIGURATION, WorkspaceId(desk.workspace), 1).document == {"model": "acme/m0"}
    assert [message.topic for message in desk.messages] == [Topic.CONFIGURATION] * 3


def test_what_says_the_same_makes_no_version(desk: Desk) -> None:
    assert desk.publish(CONFIGURATION, {"model": "a/b"}, 0) == 1
    assert desk.publish(CONFIGURATION, {"model": "a/b"}, 1) == 1
    assert len(desk.trail()) == len(desk.messages) == 1


def test_a_change_of_an_older_version_is_refused(desk: Desk) -> None:
    desk.publish(CONFIGURATION, {"model": "a/b"}, 0)
    with pytest.raises(PreconditionFailed):
        desk.publish(CONFIGURATION, {"model": "a/c"}, 0)


def test_of_many_at_once_one_publishes(desk: Desk) -> None:
    def publish(number: int) -> int | str:
        try:
            return desk.publish(CONFIGURATION, {"model": f"a/{number}"}, 0)
        except ServiceError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(publish, range(8)))
    assert sorted(map(str, results)) == ["1", *["stale_version"] * 7]


def test_going_back_makes_a_new_version(desk: Desk) -> None:
    desk.publish(CONFIGURATION, {"model": "a/b"}, 0)
    desk.publish(CONFIGURATION, {"model": "a/c"}, 1)
    restored = desk.publisher.restore(ACTOR, WorkspaceId(desk.workspace), CONFIGURATION, 1, 2)
    assert (restored.version, restored.document, restored.comment) == (3, {"model": "a/b"}, "Back to version 1")
    assert desk.trail()[-1].action == "configuration.restored"
    assert desk.trail()[-1].after["restored"] == 1


def test_who_published_what_is_recorded(desk: Desk) -> None:
    desk.publish(POLICY, {"share": {"mode": "off"}}, 0)
    entry = desk.trail()[0]
    assert (entry.actor_name, entry.action, entry.target_kind) == ("ada@example.com", "policy.published", "policy")
    assert entry.workspace_id == desk.workspace
    changed = {each["path"]: each for each in entry.after["changes"]}
    assert changed["/share/mode"] == {"path": "/share/mode", "change": "changed", "before": "link", "after": "off"}


def test_versions_are_compared(desk: Desk) -> None:
    desk.publish(CONFIGURATION, {"model": "a/b"}, 0)
    desk.publish(CONFIGURATION, {"model": "a/c", "share": "manual"}, 1)
    found = desk.publisher.differences(CONFIGURATION, WorkspaceId(desk.workspace), 1, 2)
    assert [(each.path, each.change) for each in found] == [("/model", "changed"), ("/share", "added")]


def test_policy_and_document_are_compiled_together(desk: Desk) -> None:
    desk.publish(CONFIGURATION, {"model": "a/b", "share": "auto"}, 0)
    desk.publish(POLICY, {"share": {"mode": "off"}, "default_model": "a/c"}, 0)
    assert desk.compiled() == {"model": "a/c", "share": "disabled"}


def test_an_invalid_document_is_refused_with_its_places_and_nothing_is_told(desk: Desk) -> None:
    with pytest.raises(InvalidDocument) as refused:
        desk.publish(CONFIGURATION, {"share": "sometimes", "subagent_depth": -1}, 0)
    assert {each["field"] for each in refused.value.details["errors"]} == {"/share", "/subagent_depth"}
    assert desk.messages == []
    assert desk.publisher.current(CONFIGURATION, WorkspaceId(desk.workspace)).version == 0


def test_what_would_not_fit_into_a_row_is_refused(desk: Desk) -> None:
    provider = {f"p{number}": {"models": {}} for number in range(1500)}
    desk.publish(CONFIGURATION, {"provider": provider}, 0)
    deny = [f"*/{'m' * 190}{number}" for number in range(100)]
    with pytest.raises(InvalidDocument, match="too long together"):
        desk.publish(POLICY, {"models": {"deny": deny}}, 0)


def test_another_workspaces_versions_are_not_found(desk: Desk) -> None:
    other = Desk(desk.database, new_workspace(desk.database))
    desk.publish(CONFIGURATION, {"model": "a/b"}, 0)
    assert other.publisher.current(CONFIGURATION, WorkspaceId(other.workspace)).version == 0
    with pytest.raises(ServiceError, match="no version"):
        other.publisher.revision(CONFIGURATION, WorkspaceId(other.workspace), 1)


PROGRAMS: list[dict[str, Any]] = [
    {"plugin": ["file:///opt/x.js"]},
    {"mcp": {"x": {"type": "local", "command": ["sh"]}}},
    {"formatter": {"x": {"command": ["sh"], "extensions": [".py"]}}},
    {"lsp": {"x": {"command": ["sh"], "extensions": [".py"]}}},
    {"command": {"x": {"template": "!`id`"}}},
    {"permission": {"bash": "allow"}},
    {"agent": {"build": {"permission": {"bash": "allow"}}}},
    {"provider": {"acme": {"npm": "acme"}}},
    {"provider": {"openai": {"options": {"baseURL": "https://a.example"}}}},
]


@pytest.mark.parametrize("programs", PROGRAMS)
def test_only_an_owner_adds_changes_removes_or_restores_programs(desk: Desk, programs: dict[str, Any]) -> None:
    def publish(actor: Actor, document: dict[str, Any], read: int) -> int:
        return desk.publisher.publish(actor, WorkspaceId(desk.workspace), CONFIGURATION, document, read).version

    with pytest.raises(OwnerRequired) as refused:
        publish(ADMIN, programs, 0)
    assert [each["field"].split("/")[1] for each in refused.value.details["errors"]] == list(programs)
    assert publish(ACTOR, programs, 0) == 1
    assert publish(ADMIN, {**programs, "username": "acme"}, 1) == 2
    with pytest.raises(OwnerRequired):
        publish(ADMIN, {"username": "acme"}, 2)
    assert publish(ACTOR, {"username": "acme"}, 2) == 3
    with pytest.raises(OwnerRequired):
        desk.publisher.restore(ADMIN, WorkspaceId(desk.workspace), CONFIGURATION, 1, 3)
    assert desk.publisher.restore(ADMIN, WorkspaceId(desk.workspace), CONFIGURATION, 3, 3).version == 3


def test_a_comment_is_one_line(desk: Desk) -> None:
    for comment in ("two\nlines", "turned \u202e", "\x00"):
        with pytest.raises(ServiceError, match="cannot be a name or a comment"):
            desk.publisher.publish(ACTOR, WorkspaceId(desk.workspace), CONFIGURATION, {}, 0, comment)


NAMES = st.sampled_from(["acme", "openai", "o*", "*", "m1"])
RULES = st.fixed_dictionaries({"allow": st.none() | st.lists(NAMES, max_size=2), "deny": st.lists(NAMES, max_size=2)})
POLICIES = st.fixed_dictionaries({"providers": RULES, "models": RULES, "tools": RULES})
VALUES = st.recursive(
    st.sampled_from([None, True, 1, "acme/m1", "allow", "manual", "disabled"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["acme", "models", "options", "headers", "apiKey", "m1", "bash", "*"]), inner)
    ),
    max_leaves=8,
)
KEYS = ["provider", "permission", "tools", "enabled_providers", "disabled_providers", "experimental", "share", "model"]
DOCUMENTS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)


@given(st.lists(st.tuples(st.sampled_from(list(Versioned)), POLICIES, DOCUMENTS), max_size=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_published_in_whatever_order_clients_accept_it(desk: Desk, steps: list[Any]) -> None:
    desk = Desk(desk.database, new_workspace(desk.database))
    read = {POLICY: 0, CONFIGURATION: 0}
    for kind, policy, document in steps:
        with suppress(InvalidDocument):
            read[kind] = desk.publish(kind, policy if kind is POLICY else document, read[kind])
        assert form_faults(desk.compiled()) == []
