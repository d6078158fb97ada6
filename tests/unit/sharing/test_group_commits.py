"""Group commits over a log in memory, in every order in which publications and commits can follow each other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opencode_cloud.contracts.access import EnforcedPolicy
from opencode_cloud.contracts.ids import ClientSessionId, ShareId, WorkspaceId
from opencode_cloud.kit import log
from opencode_cloud.kit.errors import Forbidden, InternalError, ServiceError, Unavailable
from opencode_cloud.kit.rate_counters import Expense, Totals
from opencode_cloud.sharing.hub import group_commits
from opencode_cloud.sharing.hub.group_commits import GROUP_PUBLICATIONS, GroupCommits
from opencode_cloud.sharing.models import (
    Commit,
    Item,
    ItemFindings,
    Mode,
    Ownership,
    Payload,
    Position,
    Record,
    Share,
    State,
    Tombstone,
)
from opencode_cloud.sharing.protocol import capability
from opencode_cloud.sharing.service.access import ShareAccess
from opencode_cloud.sharing.service.group_publishing import Announcement, GroupPublishing, Publication
from opencode_cloud.sharing.store import Head
from tests.unit.sharing.redaction.secrets import FORMATS, Draw
from tests.unit.sharing.steps import Steps, pause
from tests.waiting import until_async

KEY = "k" * 43
WAIT = 60.0
"""Seconds after which a test that waits in vain fails."""
SHARE = ShareId("S" * 22)
SESSION = ClientSessionId("ses_1")
OWNERSHIP = Ownership(owner="acc_1", workspace_id=WorkspaceId("wrk_1"), mode=Mode.LINK, ticket_key=b"k" * 32)
SECRET = capability.share_secret(KEY, capability.network_publisher("192.0.2.1"), SHARE, SESSION)


@pytest.fixture(autouse=True, scope="module")
def _without_metrics() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "count", lambda *_: None)
        patch.setattr(log, "size", lambda *_: None)
        yield


def new_share() -> Share:
    session = capability.SealedSession(SESSION, capability.pseudonym_key(KEY))
    return Share(
        id=SHARE,
        state=State.ACTIVE,
        session_hash="h",
        secret_hash=capability.secret_hash(SECRET),
        sealed_session=capability.seal(SECRET, SHARE, session),
        pseudonym="ses_p",
        created_at=1,
        hint=Position(),
    )


@dataclass
class Log:
    """A share and its log in memory, as `ShareStore` keeps them. Other writers, and failures, come by the test."""

    share_row: Share | None = field(default_factory=new_share)
    records: list[Record] = field(default_factory=list[Record])
    findings: list[ItemFindings] = field(default_factory=list[ItemFindings])
    before_append: deque[Callable[[], None]] = field(default_factory=deque[Callable[[], None]])
    prepared: Sequence[Item] = ()
    reads: int = 0

    @property
    def end(self) -> Position:
        return Position(self.records[-1].last, self.records[-1].total) if self.records else Position()

    @property
    def items(self) -> list[Item]:
        return [item for record in self.records for item in record.items]

    def share(self, share_id: ShareId) -> Share | None:
        return self.share_row

    def tombstone(self, share_id: ShareId) -> Tombstone | None:
        return None if self.share_row else Tombstone(share_id=share_id, reason="unshared", deleted_at=1)

    def head(self, share_id: ShareId, known_end: Position | None) -> Head:
        self.reads += 1
        after = known_end.seq if known_end else 0
        return Head(self.share_row, tuple(r for r in self.records if r.first > after), (), self.end)

    def prepare(self, share_id: ShareId, items: Sequence[Item]) -> Payload:
        self.prepared = items
        return Payload(count=len(items), size=1, packed=b"")

    def append(self, share_id: ShareId, tail: Position, at: int, payload: Payload) -> Position | None:
        if self.before_append:
            self.before_append.popleft()()
        if tail.seq != self.end.seq:
            return None
        return self.put(self.prepared, at)

    def put(self, items: Sequence[Item], at: int) -> Position:
        start = self.end
        end = Position(start.seq + len(items), start.total + 1)
        numbered = tuple(msgspec.structs.replace(item, seq=start.seq + 1 + n) for n, item in enumerate(items))
        self.records.append(Record(first=start.seq + 1, last=end.seq, at=at, total=end.total, items=numbered))
        return end

    def put_findings(self, _: ShareId, found: Sequence[ItemFindings]) -> None:
        self.findings += found

    def spend_all(self, expenses: Sequence[Expense]) -> Sequence[Totals]:
        return [Totals(dict(amounts), seconds) for _, seconds, amounts in expenses]


class Hub:
    """Group commits of one hub over a log."""

    def __init__(self, kept: Log, access: object = None, *, patience: float = 0.0) -> None:
        self.steps = Steps()
        self.announced: list[Announcement] = []
        store = cast("Any", kept)
        gate = ShareAccess(store, cast("Any", access))
        nothing = cast("Any", None)
        self.publishing = GroupPublishing(store, nothing, gate, nothing, lambda: KEY)
        self.commits = GroupCommits(self.publishing.commit_group, self.announced.append, self.steps, patience=patience)

    async def published(self, name: str, at: int) -> Commit:
        """Publish and let it be committed."""
        task = self.publish(name, at)
        await pause()
        self.steps.run_one()
        return await task

    def publish(self, name: str, at: int, secret: str = SECRET, items: int = 1, text: str = "") -> asyncio.Task[Commit]:
        data = b'{"n":"%d","text":"' + text.encode() + b'"}'
        batch = [Item(key=f"part/m/{name}_{n}", type="part", data=data % n) for n in range(items)]
        return asyncio.get_running_loop().create_task(
            self.commits.publish(SHARE, Publication(secret, batch, at, "192.0.2.1"))
        )


def fail() -> None:
    raise Unavailable("store_unavailable", "Try again.")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 60), st.integers(1, 3)),
        st.tuples(st.just("wrong"), st.integers(0, 60), st.just(1)),
        st.tuples(st.just("commit"), st.just(0), st.just(0)),
        st.tuples(st.just("other writer"), st.just(0), st.just(0)),
        st.tuples(st.just("failure"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@given(STEPS)
@example([("publish", 0, 1), ("publish", 0, 1), ("publish", 60, 1)])  # the last of a group has arrived first
async def test_an_acknowledged_publication_is_in_the_log_and_a_refused_one_is_not(
    steps: list[tuple[str, int, int]],
) -> None:
    kept = Log()
    hub = Hub(kept)
    published: dict[str, tuple[asyncio.Task[Commit], int, int, bool]] = {}
    for number, (step, jitter, count) in enumerate(steps):
        at = 1000 + 10 * number - jitter  # arrivals do not follow the order of the queue
        if step in ("publish", "wrong"):
            secret = SECRET if step == "publish" else SECRET[:-1] + "_"
            task = hub.publish(f"p{number}", at, secret, count)
            published[f"p{number}"] = task, at, count, step == "publish"
        elif step == "commit":
            hub.steps.run_one()
        elif step == "other writer":
            other = Item(key=f"part/m/o{number}_0", type="part", data=b"{}", at=at)
            kept.before_append.append(lambda other=other: kept.put([other], other.at) and None)
        else:
            kept.before_append.append(fail)
        await pause()
    while hub.steps.waiting:
        hub.steps.run_one()
        await pause()
    by_key = {item.key: item for item in kept.items}
    assert [item.seq for item in kept.items] == list(range(1, len(kept.items) + 1))
    for name, (task, at, count, allowed) in published.items():
        keys = [f"part/m/{name}_{n}" for n in range(count)]
        assert task.done()
        if task.exception() is None:
            assert allowed
            stored = [by_key[key] for key in keys]
            last = task.result().seq
            assert [item.seq for item in stored] == list(range(last - count + 1, last + 1))
            assert {item.at for item in stored} == {at}
        else:
            assert isinstance(task.exception(), ServiceError)
            assert isinstance(task.exception(), Forbidden) == (not allowed)
            assert not [key for key in keys if key in by_key]
    for record in kept.records:
        assert [item.at for item in record.items] == sorted(item.at for item in record.items)
    ours = {item.key for announcement in hub.announced for item in announcement.record.items}
    assert ours == {key for key in by_key if not key.startswith("part/m/o")}


async def test_an_idle_share_waits_for_nothing_and_a_busy_one_makes_one_record_of_what_came_meanwhile() -> None:
    kept = Log()
    hub = Hub(kept)
    first = hub.publish("a", 1)
    await pause()
    assert len(hub.steps.waiting) == 1
    others = [hub.publish(f"b{n}", 2 + n) for n in range(5)]
    await pause()
    assert len(hub.steps.waiting) == 1
    hub.steps.run_one()
    await pause()
    assert first.result().seq == 1
    assert not any(other.done() for other in others)
    hub.steps.run_one()
    await pause()
    assert [other.result().seq for other in others] == [2, 3, 4, 5, 6]
    assert [len(record.items) for record in kept.records] == [1, 5]
    assert kept.reads == 1  # the second group knew the share and the end of its log


async def _busy(patience: float) -> tuple[Hub, list[asyncio.Task[Commit]]]:
    """Return a hub that has acknowledged two publishers, while two others wait."""
    hub = Hub(Log(), patience=patience)
    tasks = [hub.publish("a", 1)]
    await pause()
    hub.steps.run_one()
    await pause()
    tasks += [hub.publish(name, 2) for name in "bc"]
    await pause()
    others = [hub.publish(name, 3) for name in "de"]
    await pause()
    hub.steps.run_one()
    await pause()
    return hub, others


async def test_a_busy_share_waits_for_those_that_were_just_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commits, "LONGEST_WAIT", WAIT)
    hub, others = await _busy(patience=WAIT * 1e9)
    assert not hub.steps.waiting
    returned = [hub.publish(name, 4) for name in "bc"]
    await pause()
    hub.steps.run_one()
    await pause()
    assert [task.result().seq for task in (*others, *returned)] == [4, 5, 6, 7]


async def test_it_does_not_wait_long_for_those_that_do_not_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commits, "LONGEST_WAIT", 0.0)
    hub, others = await _busy(patience=1.0)
    await until_async(lambda: bool(hub.steps.waiting))
    hub.steps.run_one()
    await pause()
    assert [task.result().seq for task in others] == [4, 5]


async def test_a_defect_while_a_record_is_announced_is_answered_to_those_that_wait() -> None:
    hub = Hub(Log())

    def fail(_: Announcement) -> None:
        raise KeyError

    commits = GroupCommits(hub.publishing.commit_group, fail, hub.steps, patience=0)
    publication = Publication(SECRET, [Item(key="part/m/a", type="part", data=b"{}")], 1, "192.0.2.1")
    first = asyncio.create_task(commits.publish(SHARE, publication))
    await pause()
    second = asyncio.create_task(commits.publish(SHARE, publication))
    await pause()
    hub.steps.run_one()
    assert (await first).seq == 1
    with pytest.raises(InternalError):
        await second
    await commits.settle()


async def test_a_group_has_a_bound() -> None:
    kept = Log()
    hub = Hub(kept)
    tasks = [hub.publish(f"a{n}", n) for n in range(GROUP_PUBLICATIONS + 10)]
    await pause()
    while hub.steps.waiting:
        hub.steps.run_one()
        await pause()
    await asyncio.gather(*tasks)
    assert max(len(record.items) for record in kept.records) == GROUP_PUBLICATIONS


async def test_a_removed_share_is_noticed_by_the_look_and_at_once_where_it_is_removed() -> None:
    kept = Log()
    hub = Hub(kept)
    task = hub.publish("a", 1)
    await pause()
    hub.steps.run_one()
    assert (await task).seq == 1
    kept.share_row = None
    hub.publishing.look(SHARE)
    task = hub.publish("b", 2)
    await pause()
    hub.steps.run_one()
    await pause()
    error = task.exception()
    assert isinstance(error, ServiceError)
    assert error.code == "share_gone"


class Workspaces:
    """Says whether the owner may share now, and counts the questions."""

    def __init__(self) -> None:
        self.permits = True
        self.asked = 0

    def workspace_permitting(self, *_: object) -> Any:
        self.asked += 1
        return SimpleNamespace(policy=EnforcedPolicy()) if self.permits else None


async def test_an_owned_share_is_read_once_and_its_owner_and_policy_for_each_commit() -> None:
    kept, workspaces = Log(), Workspaces()
    kept.share_row = msgspec.structs.replace(new_share(), ownership=OWNERSHIP)
    hub = Hub(kept, workspaces)
    assert [(await hub.published(name, 1)).seq for name in "abc"] == [1, 2, 3]
    assert (kept.reads, workspaces.asked) == (1, 3)
    workspaces.permits = False
    with pytest.raises(Forbidden):
        await hub.published("d", 1)


async def test_a_share_that_this_process_changes_is_read_again_even_if_a_read_is_under_way() -> None:
    kept = Log()
    hub = Hub(kept)
    assert (await hub.published("a", 1)).seq == 1
    hub.publishing.forget(SHARE)
    assert (await hub.published("b", 2)).seq == 2
    assert kept.reads == 2
    head = kept.head

    def changed_meanwhile(share_id: ShareId, known_end: Position | None) -> Head:
        read = head(share_id, known_end)
        hub.publishing.forget(SHARE)
        return read

    kept.head = changed_meanwhile
    hub.publishing.look(SHARE)
    kept.head = head
    assert (await hub.published("c", 3)).seq == 3
    assert kept.reads == 4


async def test_a_secret_that_another_process_has_given_counts_at_once() -> None:
    kept = Log()
    hub = Hub(kept)
    await hub.published("a", 1)
    given = capability.share_secret(KEY, capability.network_publisher("198.51.100.1"), SHARE, SESSION)
    session = capability.SealedSession(SESSION, capability.pseudonym_key(KEY))
    kept.share_row = msgspec.structs.replace(
        new_share(),
        secret_hash=capability.secret_hash(given),
        sealed_session=capability.seal(given, SHARE, session),
    )
    later = hub.publish("b", 2, given)
    await pause()
    hub.steps.run_one()
    assert (await later).seq == 2
    with pytest.raises(Forbidden):
        await hub.published("c", 3)


async def test_a_share_whose_secret_may_be_replaced_is_always_read() -> None:
    kept = Log()
    owner = msgspec.structs.replace(OWNERSHIP, owner="acc_1")
    kept.share_row = msgspec.structs.replace(new_share(), ownership=owner, needs_login=True)
    hub = Hub(kept, Workspaces())
    for reads in (1, 2):
        with pytest.raises(Forbidden):  # the sender is not signed in
            await hub.published("a", 1)
        assert kept.reads == reads


async def test_a_secret_is_replaced_before_the_record_is_stored_or_announced() -> None:
    kept = Log()
    hub = Hub(kept)
    key = FORMATS["gitlab-personal"](Draw(1))
    task = hub.publish("a", 1, text=f"export TOKEN={key}")
    await pause()
    hub.steps.run_one()
    await task
    [announced] = hub.announced
    for item in (*kept.records[0].items, *announced.record.items):
        assert b"export TOKEN=[redacted: gitlab-pat]" in item.data
        assert key.encode() not in item.data
    assert [finding.kind for each in kept.findings for finding in each.findings] == ["gitlab-pat"]
