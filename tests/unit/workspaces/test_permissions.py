"""The table of permissions: rules that must hold after any addition."""

from pathlib import Path

import pytest

from opencode_cloud.contracts.permissions import (
    GRANTS,
    LEADS_TO,
    PERSONS_ONLY,
    SCOPES,
    KeyScope,
    Permission,
    Role,
    allows,
)
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
    people = {Permission.MEMBER_INVITE, Permission.MEMBER_UPDATE, Permission.MEMBER_REMOVE, Permission.DOMAIN_MANAGE}
    assert not SCOPES[scope] & {*people, Permission.WORKSPACE_TRANSFER, Permission.WORKSPACE_DELETE}


@pytest.mark.parametrize("scope", KeyScope)
def test_no_key_decides_what_runs_on_machines_or_how_long_the_record_is_kept(scope: KeyScope) -> None:
    machines = {Permission.POLICY_MANAGE, Permission.CONFIGURATION_MANAGE, Permission.CONFIGURATION_PROGRAMS}
    assert not SCOPES[scope] & {*machines, Permission.AUDIT_RETENTION}


@pytest.mark.parametrize("permission", Permission)
def test_each_permission_says_what_it_leads_to_and_the_table_says_it_too(permission: Permission) -> None:
    reach = LEADS_TO[permission]
    (row,) = [line for line in document().splitlines() if line.startswith(f"| `{permission}` |")]
    cells = [cell.strip() for cell in row.split("|")[2:-1]]
    assert cells[-1] == reach
    assert cells[: len(Role)] == ["yes" if allows(role, None, permission) else "·" for role in Role]
    by_key = [allows(Role.OWNER, frozenset({scope}), permission) for scope in KeyScope]
    assert cells[len(Role) : -1] == ["yes" if permitted else "·" for permitted in by_key]
    assert not (any(by_key) and reach in PERSONS_ONLY)


def test_only_owners_publish_programs_and_set_the_life_of_the_record() -> None:
    for permission in (Permission.CONFIGURATION_PROGRAMS, Permission.AUDIT_RETENTION):
        assert [role for role in Role if permission in GRANTS[role]] == [Role.OWNER]


@pytest.mark.parametrize("permission", Permission)
def test_a_key_may_no_more_than_its_holder(permission: Permission) -> None:
    for role in Role:
        if not allows(role, None, permission):
            assert not allows(role, frozenset(KeyScope), permission)
    assert not allows("", None, permission)
    assert not allows(Role.OWNER, frozenset(), permission)
