"""The hot planes end with the true state, for any interleaving, repetition and delay of relays."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import Table, delete, update

from opencode_cloud.access.models import Known, ProjectionKey, ProjectionKind
from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.contracts.outbox import OutboxMessage, Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.sql import Connection
from opencode_cloud.policies.models import DocumentRevision, Versioned
from opencode_cloud.policies.store import DocumentStore
from opencode_cloud.schema.access import projection_versions
from opencode_cloud.schema.budgets import budgets
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.keys import keys, provider_credentials
from opencode_cloud.schema.workspaces import members, service_accounts, workspaces
from tests.emulator.outbox.planes import Planes, Team

Write = tuple[ProjectionKey, Known | None, int]


def places_of(team: Team) -> list[ProjectionKey]:
    return [
        ProjectionKey(ProjectionKind.ACCOUNT, team.account),
        ProjectionKey(ProjectionKind.WORKSPACE, team.workspace),
        ProjectionKey(ProjectionKind.CONFIGURATION, team.workspace),
        ProjectionKey(ProjectionKind.MEMBER, team.member, WorkspaceId(team.workspace), AccountId(team.account)),
        ProjectionKey(ProjectionKind.SERVICE_ACCOUNT, team.service_account, WorkspaceId(team.workspace)),
        ProjectionKey(ProjectionKind.KEY, team.digest.hex()),
        ProjectionKey(ProjectionKind.CREDENTIALS, team.workspace),
    ]


def message_of(team: Team, topic: Topic) -> OutboxMessage:
    subjects: dict[Topic, tuple[str, Any]] = {
        Topic.ACCOUNT: (team.account, None),
        Topic.WORKSPACE: (team.workspace, None),
        Topic.POLICY: (team.workspace, None),
        Topic.CONFIGURATION: (team.workspace, None),
        Topic.BUDGETS: (team.workspace, None),
        Topic.CREDENTIALS: (team.workspace, None),
        Topic.MEMBER: (team.member, {"workspace": team.workspace, "account": team.account}),
        Topic.SERVICE_ACCOUNT: (team.service_account, {"workspace": team.workspace}),
        Topic.KEY: (team.key, {"hash": team.digest.hex()}),
    }
    subject, payload = subjects[topic]
    return OutboxMessage(0, topic, subject, payload, relayed=False)


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
ELSEWHERE = (
    Topic.MAIL,
    Topic.CATALOGUE,
    Topic.RELOAD,
    Topic.REFUND,
    Topic.SEATS,
    Topic.SECOND_SUBSCRIPTION,
    Topic.WEBHOOK,
)
PROJECTED = [topic for topic in Topic if topic not in ELSEWHERE]


def change(connection: Connection, planes: Planes, team: Team, topic: Topic, number: int) -> None:
    """Change the subject of a topic to a value that depends on ``number``."""
    moment = utc_now() if number % 2 else None
    match topic:
        case Topic.ACCOUNT:
            _set(connection, accounts, team.account, name=str(number), blocked_at=moment)
        case Topic.WORKSPACE:
            _set(connection, workspaces, team.workspace, name=str(number), deleted_at=moment)
        case Topic.MEMBER:
            role = ("owner", "admin", "member")[number % 3]
            _set(connection, members, team.member, role=role, removed_at=moment)
        case Topic.SERVICE_ACCOUNT:
            _set(connection, service_accounts, team.service_account, name=str(number), disabled_at=moment)
        case Topic.KEY:
            expires = utc_now() + timedelta(days=number + 1)
            _set(connection, keys, team.key, revoked_at=moment, expires_at=expires)
        case Topic.BUDGETS:
            where = {"workspace_id": team.workspace}
            connection.execute(delete(budgets).where(budgets.c.workspace_id == team.workspace))
            row = {"id": new_id("bud"), **where, "scope": "each_member", "unit": "cost", "period": "month"}
            dated = {"created_by": "ada", "created_at": utc_now(), "updated_at": utc_now()}
            connection.execute(budgets.insert(), {**row, "amount": number, **dated})
        case Topic.CREDENTIALS:
            connection.execute(
                delete(provider_credentials).where(provider_credentials.c.workspace_id == team.workspace)
            )
            row = {"id": new_id("prv"), "workspace_id": team.workspace, "provider": "openai", "name": str(number)}
            sealed = {"sealed": bytes([number]), "data_key": b"key", "suffix": ""}
            dated = {"created_by": "ada", "created_at": utc_now(), "updated_at": utc_now()}
            connection.execute(provider_credentials.insert(), {**row, **sealed, **dated})
        case _:
            kind = Versioned.POLICY if topic is Topic.POLICY else Versioned.CONFIGURATION
            store = DocumentStore(planes.database)
            present = store.latest(connection, kind, WorkspaceId(team.workspace))
            document = {"default_model": f"acme/m{number}"} if topic is Topic.POLICY else {"username": str(number)}
            version = present.version + 1 if present else 1
            revision = DocumentRevision(version=version, created_by="ada", created_at=utc_now(), document=document)
            store.add(connection, kind, WorkspaceId(team.workspace), revision)


def _set(connection: Connection, table: Table, row: str, **values: Any) -> None:
    connection.execute(update(table).where(table.c.id == row).values(**values))


class Interleaving(RuleBasedStateMachine):
    """Open transactions, and relays in two steps: a value that was read is written at any later time."""

    planes: Planes

    @initialize()
    def begin(self) -> None:
        self.team = self.planes.found()
        self.stack = ExitStack()
        self.open: dict[str, Any] = {}
        self.told: list[OutboxMessage] = []
        self.owed = set(PROJECTED)
        """Topics without a finished relay that began after the last commit."""
        self.read: list[tuple[set[Topic], list[Write]]] = []

    @rule(topic=st.sampled_from(PROJECTED), number=st.integers(0, 5))
    def start_transaction(self, topic: Topic, number: int) -> None:
        # An addition to a workspace locks it, as a change of the workspace does. Such transactions wait for each other.
        lock = "workspace" if message_of(self.team, topic).subject == self.team.workspace else topic.value
        if lock in self.open:
            return
        manager = self.planes.database.engine.connect()
        transaction = manager.begin()
        change(manager, self.planes, self.team, topic, number)
        self.open[lock] = (manager, transaction, topic)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), keep=st.booleans())
    def end_transaction(self, data: st.DataObject, keep: bool) -> None:
        connection, transaction, topic = self.open.pop(data.draw(st.sampled_from(sorted(self.open))))
        if keep:
            transaction.commit()
            self.told.append(message_of(self.team, topic))
            self.owed.add(topic)
        else:
            transaction.rollback()
        connection.close()

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def relay_reads(self, data: st.DataObject) -> None:
        messages = data.draw(st.lists(st.sampled_from(self.told), min_size=1, max_size=3))
        projection = self.planes.projection
        with self.planes.database.transaction() as connection:
            keys = {key for message in messages for key in projection._keys_of(connection, message)}
        topics = {message.topic for message in messages}
        self.read.append((topics, projection._read(sorted(keys))))

    @precondition(lambda self: self.read)
    @rule(data=st.data(), again=st.booleans())
    def relay_writes(self, data: st.DataObject, again: bool) -> None:
        index = data.draw(st.integers(0, len(self.read) - 1))
        _, writes = self.read[index]
        for write in data.draw(st.permutations(writes)):
            self.planes.projection._store.put(*write)
        if not again:
            del self.read[index]

    def teardown(self) -> None:
        if not hasattr(self, "team"):
            return
        for connection, transaction, _ in self.open.values():
            transaction.commit()
            connection.close()
        # Each commit is relayed at least once after it. Values that were read before can still be written later.
        late = list(self.read)
        for topic in random.sample(PROJECTED, len(PROJECTED)):
            self.planes.projection.relay([message_of(self.team, topic)])
            if late:
                for write in late.pop()[1]:
                    self.planes.projection._store.put(*write)
        for _, writes in late:
            for write in writes:
                self.planes.projection._store.put(*write)
        for key in places_of(self.team):
            assert self.planes.projected(key) == self.planes.true(key)


@pytest.mark.parametrize("sequences", [20, pytest.param(150, marks=pytest.mark.slow)])
def test_any_interleaving_of_transactions_and_relays_ends_with_the_truth(planes: Planes, sequences: int) -> None:
    machine = type("Machine", (Interleaving,), {"planes": planes})
    limits = settings(max_examples=sequences, stateful_step_count=25, suppress_health_check=SLOW, deadline=None)
    run_state_machine_as_test(machine, settings=limits)


def test_many_who_change_and_relay_at_once_leave_the_truth(planes: Planes) -> None:
    teams = [planes.found() for _ in range(2)]
    start = threading.Barrier(8)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        start.wait()
        for _ in range(25):
            team, topic = chance.choice(teams), chance.choice(PROJECTED)
            message = message_of(team, topic)
            with planes.outbox.unit() as unit:
                planes_lock(unit.connection, team)
                change(unit.connection, planes, team, topic, chance.randrange(6))
                unit.emit(topic, message.subject, message.payload)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    for team in teams:
        for key in places_of(team):
            if planes.true(key) is not None or planes.projected(key) is not None:
                assert planes.projected(key) == planes.true(key), key


def planes_lock(connection: Connection, team: Team) -> None:
    connection.execute(workspaces.select().where(workspaces.c.id == team.workspace).with_for_update())


def test_what_is_absent_becomes_a_tombstone_that_nobody_can_write_over(planes: Planes) -> None:
    team = planes.found()
    key = ProjectionKey(ProjectionKind.KEY, team.digest.hex())
    old = planes.projection._read([key])
    planes.projection.project([key])
    assert planes.projected(key) is not None
    with planes.database.transaction() as connection:
        connection.execute(delete(keys).where(keys.c.id == team.key))
    planes.projection.project([key])
    assert planes.projected(key) is None
    for write in old:
        assert not planes.projection._store.put(*write)
    assert planes.projected(key) is None


@pytest.mark.parametrize("column", ["deleted_at", "blocked_at"])
def test_a_dead_workspace_takes_its_members_along(planes: Planes, column: str) -> None:
    team = planes.found()
    planes.projection.project_all()
    assert planes.projected(places_of(team)[3])
    with planes.database.transaction() as connection:
        _set(connection, workspaces, team.workspace, **{column: utc_now()})
    planes.projection.relay([message_of(team, Topic.WORKSPACE)])
    for key in places_of(team)[1:4]:
        assert planes.projected(key) is None


def test_a_deleted_account_takes_its_memberships_along(planes: Planes) -> None:
    team = planes.found()
    planes.projection.project_all()
    with planes.database.transaction() as connection:
        connection.execute(delete(accounts).where(accounts.c.id == team.account))
    planes.projection.relay([message_of(team, Topic.ACCOUNT)])
    assert planes.projected(places_of(team)[0]) is None
    assert planes.projected(places_of(team)[3]) is None


def test_a_new_name_of_a_workspace_reaches_its_members(planes: Planes) -> None:
    team = planes.found()
    planes.projection.project_all()
    with planes.database.transaction() as connection:
        _set(connection, workspaces, team.workspace, name="Ajax")
    planes.projection.relay([message_of(team, Topic.WORKSPACE)])
    assert b'"workspace_name":"Ajax"' in (planes.projected(places_of(team)[3]) or b"")


def test_everything_is_projected_anew_or_one_workspace_only(planes: Planes) -> None:
    first, second = planes.found(), planes.found()
    assert planes.projection.project_all(WorkspaceId(first.workspace)) == 6
    assert planes.projected(ProjectionKey(ProjectionKind.WORKSPACE, first.workspace)) is not None
    assert planes.projected(ProjectionKey(ProjectionKind.WORKSPACE, second.workspace)) is None
    assert planes.projection.project_all() == 14
    for team in (first, second):
        for key in places_of(team):
            assert planes.projected(key) == planes.true(key)


def test_versions_grow_with_the_clock_so_a_restored_database_is_believed(planes: Planes) -> None:
    team = planes.found()
    key = ProjectionKey(ProjectionKind.WORKSPACE, team.workspace)
    planes.projection.project([key])
    with planes.database.transaction() as connection:
        connection.execute(update(projection_versions).values(version=1))
        _set(connection, workspaces, team.workspace, name="Restored")
    planes.projection.project([key])
    assert planes.projected(key) == planes.true(key)
