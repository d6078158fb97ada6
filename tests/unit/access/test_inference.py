"""Access to models: the common rules, with one read in place of two."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from opencode_cloud.access.credentials import hash_of_key
from opencode_cloud.access.models import ProjectionKey, ProjectionKind
from opencode_cloud.access.service import AccessRequest
from opencode_cloud.access.service.inference import InferenceAccess
from opencode_cloud.access.store.inference import ProjectedRows
from opencode_cloud.contracts.access import (
    KnownAccount,
    KnownKey,
    KnownMember,
    KnownServiceAccount,
    KnownSession,
    KnownWorkspace,
)
from opencode_cloud.contracts.ids import AccountId, KeyId, MemberId, ServiceAccountId, SessionId, WorkspaceId
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import ServiceError

SECRET = "oc_sk_" + secrets.token_hex(16)
DIGEST = hash_of_key(SECRET)
KEY = KnownKey(
    id=KeyId("key_1"),
    workspace_id=WorkspaceId("wrk_1"),
    account_id=AccountId("acc_1"),
    member_id=MemberId("mem_1"),
    scopes=frozenset({"inference"}),
)


class Table:
    """The projection's rows in memory. It counts reads."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.session: KnownSession | None = None
        self.reads = 0

    def put(self, place: ProjectionKey, value: Any) -> None:
        self.rows[place.row] = {} if value is None else {"value": {"S": msgspec.json.encode(value).decode()}}

    async def read(self, places: Sequence[ProjectionKey], session: str = "") -> ProjectedRows:
        self.reads += 1
        found = {place.row: self.rows[place.row] for place in places if place.row in self.rows}
        return ProjectedRows(found, self.session if self.session and self.session.id == session else None)


@pytest.fixture
def table() -> Table:
    table = Table()
    table.put(ProjectionKey(ProjectionKind.WORKSPACE, "wrk_1"), KnownWorkspace(id=WorkspaceId("wrk_1"), name="One"))
    table.put(
        ProjectionKey(ProjectionKind.ACCOUNT, "acc_1"), KnownAccount(id=AccountId("acc_1"), email="ada@example.com")
    )
    member = KnownMember(
        id=MemberId("mem_1"), account_id=AccountId("acc_1"), workspace_id=WorkspaceId("wrk_1"), role="member"
    )
    table.put(ProjectionKey(ProjectionKind.MEMBER, "", WorkspaceId("wrk_1"), AccountId("acc_1")), member)
    table.put(ProjectionKey(ProjectionKind.KEY, DIGEST.hex()), KEY)
    table.session = KnownSession(
        id=SessionId("sid_1"), account_id=AccountId("acc_1"), kind="device", expires_at=now_seconds() + 60
    )
    return table


@pytest.fixture
def access(table: Table) -> InferenceAccess:
    claims = {"token": {"sub": "acc_1", "sid": "sid_1"}}
    return InferenceAccess(table, claims.get)  # pyright: ignore[reportArgumentType]


def by_key(address: str = "192.0.2.1") -> AccessRequest:
    return AccessRequest(bearer=SECRET, address=address)


async def code(access: InferenceAccess, request: AccessRequest, workspace: str = "") -> str:
    with pytest.raises(ServiceError) as raised:
        access.check(await access.caller(request, WorkspaceId(workspace)))
    return raised.value.code


class TestByKey:
    async def test_the_key_says_whose_it_is(self, access: InferenceAccess) -> None:
        caller = await access.caller(by_key(), WorkspaceId(""))
        assert (caller.actor.id, caller.actor.key_id, caller.workspace.id) == ("mem_1", "key_1", "wrk_1")
        assert caller.key == KEY

    async def test_the_models_that_a_key_may_use_bound_who_acts_with_it(
        self, access: InferenceAccess, table: Table
    ) -> None:
        table.put(ProjectionKey(ProjectionKind.KEY, DIGEST.hex()), msgspec.structs.replace(KEY, models=("acme/*",)))
        assert (await access.caller(by_key(), WorkspaceId(""))).actor.models == ("acme/*",)

    async def test_the_first_use_takes_two_reads_and_each_further_one(
        self, access: InferenceAccess, table: Table
    ) -> None:
        await access.caller(by_key(), WorkspaceId(""))
        assert table.reads == 2
        await access.caller(by_key(), WorkspaceId(""))
        assert table.reads == 3

    @pytest.mark.parametrize(
        "gone",
        [
            ProjectionKey(ProjectionKind.KEY, DIGEST.hex()),
            ProjectionKey(ProjectionKind.WORKSPACE, "wrk_1"),
            ProjectionKey(ProjectionKind.ACCOUNT, "acc_1"),
            ProjectionKey(ProjectionKind.MEMBER, "", WorkspaceId("wrk_1"), AccountId("acc_1")),
        ],
        ids=lambda place: place.kind,
    )
    async def test_what_is_gone_is_refused_at_the_next_use(
        self, access: InferenceAccess, table: Table, gone: ProjectionKey
    ) -> None:
        await access.caller(by_key(), WorkspaceId(""))
        table.put(gone, None)
        assert await code(access, by_key()) == "login_required"

    async def test_a_key_that_changed_hands_is_its_new_holders(self, access: InferenceAccess, table: Table) -> None:
        await access.caller(by_key(), WorkspaceId(""))
        machine = KnownServiceAccount(id=ServiceAccountId("svc_1"), workspace_id=WorkspaceId("wrk_1"), name="CI")
        table.put(ProjectionKey(ProjectionKind.SERVICE_ACCOUNT, "svc_1", WorkspaceId("wrk_1")), machine)
        changed = msgspec.structs.replace(KEY, account_id="", member_id="", service_account_id="svc_1")
        table.put(ProjectionKey(ProjectionKind.KEY, DIGEST.hex()), changed)
        caller = await access.caller(by_key(), WorkspaceId(""))
        assert (caller.actor.id, caller.member, caller.service_account) == ("svc_1", None, machine)

    async def test_another_workspace_than_its_own_is_not_found(self, access: InferenceAccess) -> None:
        assert await code(access, by_key(), "wrk_2") == "workspace_not_found"

    async def test_networks_and_expiry_hold(self, access: InferenceAccess, table: Table) -> None:
        table.put(
            ProjectionKey(ProjectionKind.KEY, DIGEST.hex()), msgspec.structs.replace(KEY, networks=("198.51.100.0/24",))
        )
        assert await code(access, by_key()) == "login_required"
        assert (await access.caller(by_key("198.51.100.7"), WorkspaceId(""))).key
        table.put(
            ProjectionKey(ProjectionKind.KEY, DIGEST.hex()), msgspec.structs.replace(KEY, expires_at=now_seconds())
        )
        assert await code(access, by_key("198.51.100.7")) == "login_required"

    async def test_a_key_without_the_scope_may_not(self, access: InferenceAccess, table: Table) -> None:
        table.put(
            ProjectionKey(ProjectionKind.KEY, DIGEST.hex()), msgspec.structs.replace(KEY, scopes=frozenset({"usage"}))
        )
        assert await code(access, by_key()) == "not_permitted"


class TestByToken:
    async def test_a_token_takes_one_read(self, access: InferenceAccess, table: Table) -> None:
        caller = await access.caller(AccessRequest(bearer="token"), WorkspaceId("wrk_1"))
        assert (caller.actor.id, caller.key, table.reads) == ("mem_1", None, 1)

    async def test_a_token_needs_a_workspace(self, access: InferenceAccess) -> None:
        assert await code(access, AccessRequest(bearer="token")) == "workspace_required"
        assert await code(access, AccessRequest(bearer="token"), "wrk_2") == "workspace_not_found"

    async def test_an_ended_or_expired_session_or_another_persons_is_refused(
        self, access: InferenceAccess, table: Table
    ) -> None:
        assert table.session
        for session in (
            None,
            msgspec.structs.replace(table.session, expires_at=now_seconds()),
            msgspec.structs.replace(table.session, account_id="acc_2"),
        ):
            table.session = session
            assert await code(access, AccessRequest(bearer="token"), "wrk_1") == "login_required"

    async def test_anything_else_is_no_token(self, access: InferenceAccess, table: Table) -> None:
        assert await code(access, AccessRequest(bearer="other"), "wrk_1") == "login_required"
        assert await code(access, AccessRequest(), "wrk_1") == "login_required"
        assert table.reads == 0

    async def test_a_viewer_may_not(self, access: InferenceAccess, table: Table) -> None:
        viewer = KnownMember(
            id=MemberId("mem_1"), account_id=AccountId("acc_1"), workspace_id=WorkspaceId("wrk_1"), role="viewer"
        )
        table.put(ProjectionKey(ProjectionKind.MEMBER, "", WorkspaceId("wrk_1"), AccountId("acc_1")), viewer)
        assert await code(access, AccessRequest(bearer="token"), "wrk_1") == "not_permitted"
