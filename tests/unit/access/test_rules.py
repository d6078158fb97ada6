"""The rules of authentication by table: the actor or the refusal for each combination of rows."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from opencode_cloud.access import rules
from opencode_cloud.access.credentials import AccessRequest
from opencode_cloud.access.rules import Holder
from opencode_cloud.contracts.access import (
    KeyRefused,
    KnownAccount,
    KnownKey,
    KnownMember,
    KnownServiceAccount,
    KnownSession,
    KnownWorkspace,
    login_required,
)
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import AccountId, GroupId, KeyId, MemberId, ServiceAccountId, SessionId, WorkspaceId
from opencode_cloud.contracts.permissions import KeyScope, Permission, Role
from opencode_cloud.kit.errors import ServiceError

NOW = 1_000_000
WORKSPACE = KnownWorkspace(id=WorkspaceId("wrk_1"), name="Acme")
ADA = KnownAccount(id=AccountId("acc_1"), email="ada@example.com", name="Ada")
MEMBER = KnownMember(
    id=MemberId("mem_1"),
    account_id=AccountId("acc_1"),
    workspace_id=WorkspaceId("wrk_1"),
    role="member",
    email="ada@example.com",
    workspace_name="Acme",
)
ROBOT = KnownServiceAccount(id=ServiceAccountId("svc_1"), workspace_id=WorkspaceId("wrk_1"), name="ci")
PERSON = Holder(workspace=WORKSPACE, account=ADA, member=MEMBER)
MACHINE = Holder(workspace=WORKSPACE, service_account=ROBOT)
NO_SCOPES: frozenset[str] = frozenset()
KEY = KnownKey(
    id=KeyId("key_1"),
    workspace_id=WorkspaceId("wrk_1"),
    account_id=AccountId("acc_1"),
    member_id=MemberId("mem_1"),
    scopes=frozenset({"inference"}),
    models=("a/*",),
)
MACHINES_KEY = KnownKey(
    id=KeyId("key_2"),
    workspace_id=WorkspaceId("wrk_1"),
    service_account_id=ServiceAccountId("svc_1"),
    scopes=frozenset({"admin"}),
)
SESSION = KnownSession(id=SessionId("sid_1"), account_id=AccountId("acc_1"), kind="web", expires_at=NOW + 1)
REQUEST = AccessRequest(bearer="oc_sk_x", address="192.0.2.1", correlation_id="req_1")


def by_key(
    workspace: str = "",
    *permissions: Permission,
    request: AccessRequest = REQUEST,
    key: KnownKey | None = KEY,
    holder: Holder = PERSON,
) -> Actor:
    checked = rules.check_key(request, key, NOW)
    return rules.require(rules.authenticate_key(request, checked, holder, WorkspaceId(workspace)), permissions)


def by_session(
    workspace: str = "wrk_1",
    *permissions: Permission,
    session: KnownSession | None = SESSION,
    holder: Holder = PERSON,
) -> Actor:
    live = rules.check_session(session, NOW)
    person = rules.authenticate_person(REQUEST, CredentialKind.TOKEN, live, holder.account)
    return rules.require(rules.authenticate_member(person, holder, WorkspaceId(workspace)), permissions)


class TestByKey:
    def test_a_persons_key_acts_as_the_member_within_the_keys_limits(self) -> None:
        assert by_key("wrk_1", Permission.INFERENCE) == Actor(
            kind=ActorKind.MEMBER,
            credential=CredentialKind.KEY,
            id="mem_1",
            name="ada@example.com",
            account_id=AccountId("acc_1"),
            workspace_id=WorkspaceId("wrk_1"),
            role="member",
            key_id=KeyId("key_1"),
            scopes=frozenset({"inference"}),
            models=("a/*",),
            address="192.0.2.1",
            correlation_id="req_1",
        )

    def test_a_machines_key_acts_as_an_admin(self) -> None:
        actor = by_key(key=MACHINES_KEY, holder=MACHINE)
        assert (actor.kind, actor.id, actor.name, actor.role) == (ActorKind.SERVICE_ACCOUNT, "svc_1", "ci", Role.ADMIN)

    @pytest.mark.parametrize(
        ("case", "code"),
        [
            ({"key": None}, "login_required"),
            ({"key": replace(KEY, expires_at=NOW)}, "login_required"),
            ({"key": replace(KEY, networks=("198.51.100.0/24",))}, "login_required"),
            ({"key": replace(KEY, networks=())}, "login_required"),
            ({"holder": replace(PERSON, workspace=None)}, "login_required"),
            ({"holder": replace(PERSON, account=None)}, "login_required"),
            ({"holder": replace(PERSON, member=None)}, "login_required"),
            ({"key": MACHINES_KEY, "holder": replace(MACHINE, service_account=None)}, "login_required"),
            ({"key": MACHINES_KEY, "holder": replace(MACHINE, workspace=None)}, "login_required"),
            ({"workspace": "wrk_2"}, "workspace_not_found"),
            ({"workspace": "wrk_2", "key": MACHINES_KEY, "holder": MACHINE}, "workspace_not_found"),
            ({"permission": Permission.USAGE_OWN}, "not_permitted"),
            (
                {"key": replace(KEY, scopes=frozenset({"admin"})), "permission": Permission.KEY_MANAGE},
                "not_permitted",
            ),
            (
                {"key": replace(KEY, scopes=frozenset[str]()), "permission": Permission.INFERENCE},
                "not_permitted",
            ),
        ],
        ids=str,
    )
    def test_a_key_is_refused(self, case: dict[str, Any], code: str) -> None:
        case = dict(case)
        permissions = [case.pop("permission")] if "permission" in case else []
        with pytest.raises(ServiceError) as raised:
            by_key(case.pop("workspace", ""), *permissions, **case)
        assert raised.value.code == code

    @pytest.mark.parametrize(
        ("networks", "address"),
        [
            (None, ""),
            (("192.0.2.0/24",), "192.0.2.1"),
            (("198.51.100.0/24", "192.0.2.1/32"), "192.0.2.1"),
            (("192.0.2.7/24",), "192.0.2.1"),
            (("2001:db8::/32",), "2001:db8::1"),
        ],
    )
    def test_a_key_works_from_its_networks(self, networks: tuple[str, ...] | None, address: str) -> None:
        request = replace(REQUEST, address=address)
        assert by_key(request=request, key=replace(KEY, networks=networks)).id == "mem_1"

    @pytest.mark.parametrize("address", ["", "nowhere", "192.0.3.1", "2001:db8::1"])
    def test_a_key_works_from_nowhere_else(self, address: str) -> None:
        with pytest.raises(ServiceError):
            by_key(request=replace(REQUEST, address=address), key=replace(KEY, networks=("192.0.2.0/24",)))

    def test_the_network_of_a_key_that_was_checked_before_is_not_checked_again(self) -> None:
        proven = AccessRequest(proven="key#00")
        assert by_key(request=proven, key=replace(KEY, networks=("192.0.2.0/24",))).key_id == "key_1"
        with pytest.raises(ServiceError):
            by_key(request=proven, key=replace(KEY, expires_at=NOW))

    def test_a_key_ends_with_its_second(self) -> None:
        assert by_key(key=replace(KEY, expires_at=NOW + 1)).key_id == "key_1"

    @pytest.mark.parametrize(
        ("case", "rule"),
        [
            ({"key": replace(KEY, expires_at=NOW)}, "key_expired"),
            ({"key": replace(KEY, networks=("198.51.100.0/24",))}, "network_not_permitted"),
            ({"holder": replace(PERSON, member=None)}, "holder_removed"),
        ],
    )
    def test_the_refusal_of_a_known_key_says_the_rule_to_admins_only(self, case: dict[str, Any], rule: str) -> None:
        with pytest.raises(KeyRefused) as raised:
            by_key(**case)
        refused = raised.value
        assert (refused.rule, refused.key.id) == (rule, "key_1")
        assert (refused.code, refused.message) == (login_required().code, login_required().message)
        assert (refused.actor.workspace_id, refused.actor.key_id, refused.actor.role) == ("wrk_1", "key_1", "")


class TestGroups:
    def test_an_actor_is_in_the_groups_of_the_member_and_a_service_account_is_in_none(self) -> None:
        grouped = replace(PERSON, member=replace(MEMBER, groups=(GroupId("grp_1"),)))
        assert by_key(holder=grouped).groups == by_session(holder=grouped).groups == ("grp_1",)
        assert by_key(key=MACHINES_KEY, holder=MACHINE).groups == ()


class TestBySession:
    def test_a_session_acts_as_the_member_with_the_members_role(self) -> None:
        actor = by_session("wrk_1", Permission.KEY_OWN)
        assert (actor.kind, actor.credential, actor.id, actor.account_id) == (
            ActorKind.MEMBER,
            CredentialKind.TOKEN,
            "mem_1",
            "acc_1",
        )
        assert (actor.workspace_id, actor.role, actor.session_id, actor.name) == (
            "wrk_1",
            "member",
            "sid_1",
            "ada@example.com",
        )

    @pytest.mark.parametrize(
        ("case", "code"),
        [
            ({"session": None}, "login_required"),
            ({"session": replace(SESSION, expires_at=NOW)}, "login_required"),
            ({"session": replace(SESSION, account_id="acc_2")}, "login_required"),
            ({"holder": replace(PERSON, account=None)}, "login_required"),
            ({"workspace": ""}, "workspace_required"),
            ({"workspace": "", "session": None}, "login_required"),
            ({"holder": replace(PERSON, member=None)}, "workspace_not_found"),
            ({"holder": replace(PERSON, workspace=None)}, "workspace_not_found"),
            ({"permission": Permission.KEY_MANAGE}, "not_permitted"),
        ],
        ids=str,
    )
    def test_a_session_is_refused(self, case: dict[str, Any], code: str) -> None:
        case = dict(case)
        permissions = [case.pop("permission")] if "permission" in case else []
        with pytest.raises(ServiceError) as raised:
            by_session(case.pop("workspace", "wrk_1"), *permissions, **case)
        assert raised.value.code == code


@pytest.mark.parametrize(
    ("holder", "permission", "stands"),
    [
        (PERSON, Permission.SHARE_OWN, True),
        (PERSON, Permission.SHARE_MANAGE, False),
        (MACHINE, Permission.SHARE_MANAGE, True),
        (replace(PERSON, member=None), Permission.SHARE_OWN, False),
        (replace(PERSON, workspace=None), Permission.SHARE_OWN, False),
        (Holder(), Permission.SHARE_OWN, False),
    ],
)
def test_a_holder_stands_for_a_workspace_by_role(holder: Holder, permission: Permission, stands: bool) -> None:
    assert rules.workspace_permitting(holder, permission) == (WORKSPACE if stands else None)


@pytest.mark.parametrize(
    ("actor", "permission", "may"),
    [
        (Actor(kind=ActorKind.OPERATOR, credential=CredentialKind.OPERATOR), Permission.KEY_MANAGE, True),
        (Actor(kind=ActorKind.SYSTEM), Permission.KEY_MANAGE, False),
        (Actor(kind=ActorKind.ANONYMOUS), Permission.WORKSPACE_READ, False),
        (Actor(kind=ActorKind.MEMBER, credential=CredentialKind.TOKEN, role=Role.ADMIN), Permission.KEY_MANAGE, True),
        (Actor(kind=ActorKind.MEMBER, credential=CredentialKind.TOKEN, role=Role.MEMBER), Permission.KEY_MANAGE, False),
        (Actor(kind=ActorKind.MEMBER, credential=CredentialKind.KEY, role=Role.OWNER), Permission.KEY_MANAGE, False),
        (
            Actor(
                kind=ActorKind.MEMBER,
                credential=CredentialKind.KEY,
                role=Role.OWNER,
                scopes=frozenset({KeyScope.ADMIN}),
            ),
            Permission.KEY_MANAGE,
            True,
        ),
    ],
)
def test_an_actor_may_what_role_and_scopes_include(actor: Actor, permission: Permission, may: bool) -> None:
    assert actor.may(permission) == may
