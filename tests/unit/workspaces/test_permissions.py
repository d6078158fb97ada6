"""The table of permissions: rules that must hold after any addition."""

from pathlib import Path

import pytest

from opencode_cloud.contracts.permissions import GRANTS, SCOPES, KeyScope, Permission, Role, allows
from opencode_cloud.workspaces.roles import document

ROOT = Path(__file__).parents[3]


def test_the_document_is_written_from_the_table() -> None:
    assert (ROOT / "docs" / "roles.md").read_text() == document(), "run `make roles`"


def test_owners_may_everything_and_all_others_less() -> None:
    assert GRANTS[Role.OWNER] == frozenset(Permission)
    for role in (Role.ADMIN, Role.BILLING, Role.MEMBER, Role.VIEWER):
        assert GRANTS[role] < GRANTS[Role.OWNER]
        assert GRANTS[Role.VIEWER] <= GRANTS[role]
    assert GRANTS[Role.MEMBER] < GRANTS[Role.ADMIN]


def test_only_owners_give_a_workspace_away_or_delete_it() -> None:
    for permission in (Permission.WORKSPACE_TRANSFER, Permission.WORKSPACE_DELETE):
        assert [role for role in Role if permission in GRANTS[role]] == [Role.OWNER]


@pytest.mark.parametrize("scope", KeyScope)
def test_no_key_decides_who_is_in(scope: KeyScope) -> None:
    people = {Permission.MEMBER_INVITE, Permission.MEMBER_UPDATE, Permission.MEMBER_REMOVE}
    assert not SCOPES[scope] & {*people, Permission.WORKSPACE_TRANSFER, Permission.WORKSPACE_DELETE}


@pytest.mark.parametrize("permission", Permission)
def test_a_key_may_no_more_than_its_holder(permission: Permission) -> None:
    for role in Role:
        if not allows(role, None, permission):
            assert not allows(role, frozenset(KeyScope), permission)
    assert not allows("", None, permission)
    assert not allows(Role.OWNER, frozenset(), permission)
