"""From a credential to an actor, in every plane but the gateway: keys, tokens, cookies, proofs."""

from __future__ import annotations

import msgspec
import pytest

from opencode_cloud.access.credentials import proof_of, session_of_cookie
from opencode_cloud.access.models import ProjectionKey
from opencode_cloud.access.service import Access, AccessRequest
from opencode_cloud.access.store import AccessStore, KeyUses
from opencode_cloud.contracts.actor import ActorKind, CredentialKind
from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission, Role
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import ServiceError
from tests.unit.access import projected
from tests.unit.access.projected import MACHINES_KEY, PERSONS_KEY, ROWS, Projected
from tests.unit.aws import Cloud

BY_KEY = AccessRequest(bearer=PERSONS_KEY, address="192.0.2.1")
BY_MACHINE = AccessRequest(bearer=MACHINES_KEY)
BY_TOKEN = AccessRequest(bearer="token")
BY_COOKIE = AccessRequest(cookie="biscuit")


@pytest.fixture
def rows(cloud: Cloud) -> Projected:
    rows = Projected(cloud)
    for session_id in ("sid_1", session_of_cookie("biscuit")):
        rows.session(session_id, now_seconds() + 60)
    return rows


@pytest.fixture
def access(rows: Projected) -> Access:
    tokens = {"token": "sid_1"}
    return Access(AccessStore(rows.access, rows.sessions), tokens.get, KeyUses(rows.sessions))


def refusal(access: Access, request: AccessRequest, workspace: str = "", *permissions: Permission) -> str:
    with pytest.raises(ServiceError) as raised:
        access.member(request, WorkspaceId(workspace), *permissions)
    return raised.value.code


class TestByKey:
    def test_a_persons_key_acts_as_its_member(self, access: Access) -> None:
        actor = access.member(BY_KEY, WorkspaceId("wrk_1"))
        assert (actor.kind, actor.credential, actor.id, actor.name) == (
            ActorKind.MEMBER,
            CredentialKind.KEY,
            "mem_1",
            "ada@example.com",
        )
        assert (actor.workspace_id, actor.role, actor.key_id, actor.address) == ("wrk_1", "owner", "key_1", "192.0.2.1")

    def test_a_service_accounts_key_acts_as_an_admin(self, access: Access) -> None:
        actor = access.member(BY_MACHINE, WorkspaceId("wrk_1"))
        assert (actor.kind, actor.id, actor.role) == (ActorKind.SERVICE_ACCOUNT, "svc_1", Role.ADMIN)

    def test_a_key_needs_no_workspace_named(self, access: Access) -> None:
        assert access.member(BY_KEY, WorkspaceId("")).workspace_id == "wrk_1"

    @pytest.mark.parametrize("request_", [BY_KEY, BY_MACHINE], ids=["person", "service account"])
    @pytest.mark.parametrize("other", ["wrk_2", "wrk_nowhere"])
    def test_a_key_does_not_act_in_another_workspace(self, access: Access, request_: AccessRequest, other: str) -> None:
        assert refusal(access, request_, other) == "workspace_not_found"

    def test_a_proof_does_not_act_in_another_workspace(self, access: Access) -> None:
        proof = proof_of(BY_KEY, access.member(BY_KEY, WorkspaceId("wrk_1")))
        assert refusal(access, AccessRequest(proven=proof), "wrk_2") == "workspace_not_found"

    def test_a_scope_bounds_what_a_role_permits(self, access: Access) -> None:
        access.member(BY_MACHINE, WorkspaceId("wrk_1"), Permission.BUDGET_MANAGE)
        assert refusal(access, BY_KEY, "wrk_1", Permission.BUDGET_MANAGE) == "not_permitted"

    @pytest.mark.parametrize(
        "place", [projected.KEY, projected.WORKSPACE, projected.ACCOUNT, projected.MEMBER], ids=lambda place: place.kind
    )
    def test_a_key_ends_with_anything_it_depends_on(
        self, access: Access, rows: Projected, place: ProjectionKey
    ) -> None:
        access.member(BY_KEY, WorkspaceId("wrk_1"))
        rows.put(place, None)
        assert refusal(access, BY_KEY, "wrk_1") == "login_required"

    def test_a_service_accounts_key_ends_with_its_service_account(self, access: Access, rows: Projected) -> None:
        rows.put(projected.MACHINE, None)
        assert refusal(access, BY_MACHINE, "wrk_1") == "login_required"

    def test_networks_and_expiry_hold(self, access: Access, rows: Projected) -> None:
        key = ROWS[projected.KEY]
        rows.put(projected.KEY, msgspec.structs.replace(key, networks=("198.51.100.0/24",)))
        assert refusal(access, BY_KEY) == "login_required"
        assert access.member(msgspec.structs.replace(BY_KEY, address="198.51.100.7"), WorkspaceId("")).key_id == "key_1"
        rows.put(projected.KEY, msgspec.structs.replace(key, expires_at=now_seconds()))
        assert refusal(access, BY_KEY) == "login_required"

    def test_a_key_that_was_never_made_is_refused(self, access: Access) -> None:
        assert refusal(access, AccessRequest(bearer="oc_sk_" + "x" * 32)) == "login_required"


class TestBySession:
    @pytest.mark.parametrize("request_", [BY_TOKEN, BY_COOKIE], ids=["token", "cookie"])
    def test_a_person_acts_as_their_member(self, access: Access, request_: AccessRequest) -> None:
        actor = access.member(request_, WorkspaceId("wrk_1"), Permission.BUDGET_MANAGE)
        assert (actor.id, actor.workspace_id, actor.role, actor.scopes) == ("mem_1", "wrk_1", "owner", frozenset())
        assert access.account(request_).id == "acc_1"

    def test_a_person_is_no_member_elsewhere(self, access: Access) -> None:
        assert refusal(access, BY_TOKEN, "wrk_2") == "workspace_not_found"

    def test_a_person_names_the_workspace(self, access: Access) -> None:
        assert refusal(access, BY_TOKEN) == "workspace_required"

    def test_an_expired_session_is_refused(self, access: Access, rows: Projected) -> None:
        rows.session("sid_1", now_seconds())
        assert refusal(access, BY_TOKEN, "wrk_1") == "login_required"

    def test_an_ended_session_is_refused(self, access: Access, rows: Projected) -> None:
        rows.session("sid_1", now_seconds() + 60, ended_at={"N": "1"})
        assert refusal(access, BY_TOKEN, "wrk_1") == "login_required"

    def test_a_blocked_person_is_refused(self, access: Access, rows: Projected) -> None:
        rows.put(projected.ACCOUNT, None)
        assert refusal(access, BY_TOKEN, "wrk_1") == "login_required"
        assert not access.may_sign_in(AccountId("acc_1"))

    def test_a_removed_member_is_a_stranger(self, access: Access, rows: Projected) -> None:
        rows.put(projected.MEMBER, None)
        assert refusal(access, BY_TOKEN, "wrk_1") == "workspace_not_found"
        assert access.memberships(AccountId("acc_1")) == []

    def test_a_proof_is_checked_again_with_each_use(self, access: Access, rows: Projected) -> None:
        proof = AccessRequest(proven=proof_of(BY_TOKEN, access.member(BY_TOKEN, WorkspaceId("wrk_1"))))
        assert access.member(proof, WorkspaceId("wrk_1")).id == "mem_1"
        rows.put(projected.MEMBER, None)
        assert refusal(access, proof, "wrk_1") == "workspace_not_found"


def test_no_credential_is_refused(access: Access) -> None:
    assert refusal(access, AccessRequest(), "wrk_1") == "login_required"
    assert refusal(access, AccessRequest(bearer="unknown"), "wrk_1") == "login_required"


def test_a_key_is_no_person(access: Access) -> None:
    with pytest.raises(ServiceError) as raised:
        access.account(BY_KEY)
    assert raised.value.code == "login_required"


@pytest.mark.parametrize(("holder", "stands"), [("acc_1", True), ("svc_1", True), ("acc_2", False), ("svc_2", False)])
def test_a_holder_stands_for_a_workspace_while_in_it(access: Access, holder: str, stands: bool) -> None:
    assert (access.workspace_permitting(holder, WorkspaceId("wrk_1"), Permission.SHARE_OWN) is not None) == stands
    assert access.workspace_permitting(holder, WorkspaceId("wrk_2"), Permission.SHARE_OWN) is None
