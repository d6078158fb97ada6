"""Members: roles, removal, and that there is always an owner."""

import pytest

from opencode_cloud.contracts.ids import MemberId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import KeyScope, Role
from opencode_cloud.keys.service import CreateKey
from opencode_cloud.kit.errors import ServiceError
from tests.unit.workspaces.team import Place, code_of


def test_who_founds_a_workspace_owns_it(place: Place) -> None:
    ada = place.person("ada@example.com")
    workspace = place.founded(ada, "  Acme ")
    assert workspace.name == "Acme"
    (mine,) = place.team.workspaces.memberships(ada.account_id)
    assert (mine.id, mine.role) == (workspace.id, Role.OWNER)
    assert place.told(Topic.WORKSPACE) == [workspace.id]
    assert place.told(Topic.MEMBER) == [mine.member_id]
    assert place.actions() == ["workspace.created", "member.joined"]


def test_the_last_owner_cannot_leave_be_removed_or_demoted(place: Place) -> None:
    ada = place.person("ada@example.com")
    workspace = place.founded(ada).id
    owner = place.member(ada, workspace)
    for attempt in (
        lambda: place.team.members.leave(owner, workspace),
        lambda: place.team.members.remove(owner, workspace, MemberId(owner.id)),
        lambda: place.team.members.change_role(owner, workspace, MemberId(owner.id), Role.ADMIN),
    ):
        with pytest.raises(ServiceError) as caught:
            attempt()
        assert code_of(caught) == "last_owner"


def test_only_owners_touch_owners(place: Place) -> None:
    ada = place.person("ada@example.com")
    workspace = place.founded(ada).id
    owner = place.member(ada, workspace)
    admin = place.joined(owner, "bob@example.com", "admin")
    other = place.joined(owner, "cyd@example.com", "owner")
    for attempt in (
        lambda: place.team.members.remove(admin, workspace, MemberId(other.id)),
        lambda: place.team.members.change_role(admin, workspace, MemberId(other.id), Role.MEMBER),
        lambda: place.team.members.change_role(admin, workspace, MemberId(admin.id), Role.OWNER),
        lambda: place.team.invitations.invite(admin, workspace, "dee@example.com", Role.OWNER),
    ):
        with pytest.raises(ServiceError) as caught:
            attempt()
        assert code_of(caught) == "owners_only"


def test_a_member_of_another_workspace_is_not_found(place: Place) -> None:
    ada, eve = place.person("ada@example.com"), place.person("eve@example.com")
    mine, theirs = place.founded(ada).id, place.founded(eve).id
    owner, stranger = place.member(ada, mine), place.member(eve, theirs)
    for attempt in (
        lambda: place.team.members.get(mine, MemberId(stranger.id)),
        lambda: place.team.members.remove(owner, mine, MemberId(stranger.id)),
        lambda: place.team.members.change_role(owner, mine, MemberId(stranger.id), Role.VIEWER),
        lambda: place.team.workspaces.transfer(owner, mine, MemberId(stranger.id)),
    ):
        with pytest.raises(ServiceError) as caught:
            attempt()
        assert code_of(caught) == "member_not_found"


def test_who_was_removed_and_is_invited_again_gets_their_row_back(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "admin")
    place.team.members.remove(owner, owner.workspace_id, MemberId(bob.id))
    assert place.team.workspaces.memberships(bob.account_id) == []
    invitation = place.team.invitations.invite(owner, owner.workspace_id, "BOB@example.com", Role.VIEWER)
    place.team.invitations.accept(bob, invitation.id)
    assert place.team.members.get(owner.workspace_id, MemberId(bob.id)).role is Role.VIEWER


def test_a_transfer_makes_one_owner_of_another(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "member")
    place.team.workspaces.transfer(owner, owner.workspace_id, MemberId(bob.id))
    roles = {each.email: each.role for each in place.team.members.members_of(owner.workspace_id)}
    assert roles == {"ada@example.com": Role.ADMIN, "bob@example.com": Role.OWNER}


def test_a_viewer_who_was_given_a_workspace_owns_it_and_the_old_owner_may_leave(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "viewer")
    place.team.workspaces.transfer(owner, owner.workspace_id, MemberId(bob.id))
    with pytest.raises(ServiceError) as caught:
        place.team.workspaces.transfer(owner, owner.workspace_id, MemberId(owner.id))
    assert code_of(caught) == "transfer_to_self"
    place.team.members.leave(place.member(ada, owner.workspace_id), owner.workspace_id)
    assert place.member(bob, owner.workspace_id).role == Role.OWNER
    assert [each.email for each in place.team.members.members_of(owner.workspace_id)] == ["bob@example.com"]


def test_keys_of_a_removed_member_stay_ended_when_the_person_comes_back(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "member")
    key = place.team.keys.create(bob, owner.workspace_id, CreateKey(name="k", scopes=[KeyScope.INFERENCE]))
    place.team.members.remove(owner, owner.workspace_id, MemberId(bob.id))
    place.joined_again(owner, bob)
    assert place.team.keys.get(owner, owner.workspace_id, key.id).revoked_at
    assert place.team.keys.of_workspace(owner, owner.workspace_id) == []


def test_members_are_found_by_text_role_and_page(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    for name in ("bob", "cyd", "b_b"):
        place.joined(owner, f"{name}@example.com", "member")
    found = place.team.members.members_of(owner.workspace_id, search="b_b")
    assert [each.email for each in found] == ["b_b@example.com"]
    assert len(place.team.members.members_of(owner.workspace_id, role=Role.MEMBER)) == 3
    first = place.team.members.members_of(owner.workspace_id, limit=2)
    rest = place.team.members.members_of(owner.workspace_id, after=first[-1].id)
    assert len(first) == len(rest) == 2
