"""Rules about all members hold under concurrent actions."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from opencode_cloud.contracts.ids import MemberId
from opencode_cloud.contracts.permissions import KeyScope, Role
from opencode_cloud.keys.service import CreateKey
from opencode_cloud.kit.errors import ServiceError
from tests.unit.workspaces.team import Place


def at_once(*actions: Callable[[], object]) -> list[str]:
    """Run all concurrently; return the result of each: ``ok`` or the code of its refusal."""
    barrier = Barrier(len(actions))

    def run(action: Callable[[], object]) -> str:
        barrier.wait()
        try:
            action()
        except ServiceError as error:
            return error.code
        return "ok"

    with ThreadPoolExecutor(len(actions)) as pool:
        return sorted(pool.map(run, actions))


@pytest.mark.parametrize("_attempt", range(5))
def test_two_owners_who_leave_at_once_leave_one_behind(place: Place, _attempt: int) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "owner")
    outcome = at_once(
        lambda: place.team.members.leave(owner, owner.workspace_id),
        lambda: place.team.members.leave(bob, owner.workspace_id),
    )
    assert outcome == ["last_owner", "ok"]
    assert [each.role for each in place.team.members.members_of(owner.workspace_id)] == [Role.OWNER]


def test_two_owners_who_demote_each_other_leave_one(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "owner")
    outcome = at_once(
        lambda: place.team.members.change_role(owner, owner.workspace_id, MemberId(bob.id), Role.MEMBER),
        lambda: place.team.members.change_role(bob, owner.workspace_id, MemberId(owner.id), Role.MEMBER),
    )
    assert outcome == ["last_owner", "ok"]


def test_an_invitation_that_is_withdrawn_and_accepted_at_once_ends_one_way(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.person("bob@example.com")
    invitation = place.team.invitations.invite(owner, owner.workspace_id, "bob@example.com", Role.MEMBER)
    outcome = at_once(
        lambda: place.team.invitations.accept(bob, invitation.id),
        lambda: place.team.invitations.revoke(owner, owner.workspace_id, invitation.id),
    )
    assert outcome == ["invitation_settled", "ok"]
    state = place.team.invitations.get(owner.workspace_id, invitation.id).state
    members = {each.email for each in place.team.members.members_of(owner.workspace_id)}
    assert ("bob@example.com" in members) == (state == "accepted")


def test_one_address_is_invited_once(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    invite = lambda: place.team.invitations.invite(owner, owner.workspace_id, "bob@example.com", Role.MEMBER)  # noqa: E731
    assert at_once(invite, invite, invite) == ["already_invited", "already_invited", "ok"]


def test_a_person_accepts_once(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.person("bob@example.com")
    invitation = place.team.invitations.invite(owner, owner.workspace_id, "bob@example.com", Role.MEMBER)
    accept = lambda: place.team.invitations.accept(bob, invitation.id)  # noqa: E731
    assert at_once(accept, accept) == ["ok", "ok"], "the second request is answered like the first"
    joined = [each for each in place.team.members.members_of(owner.workspace_id) if each.role is Role.MEMBER]
    assert len(joined) == 1


@pytest.mark.parametrize("_attempt", range(5))
def test_a_key_that_is_made_while_its_holder_is_removed_is_not_left_behind(place: Place, _attempt: int) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "member")
    outcome = at_once(
        lambda: place.team.members.remove(owner, owner.workspace_id, MemberId(bob.id)),
        *[lambda: place.team.keys.create(bob, owner.workspace_id, CreateKey(name="k", scopes=[KeyScope.INFERENCE]))]
        * 3,
    )
    assert set(outcome) <= {"ok", "workspace_not_found"}
    assert place.team.keys.of_workspace(owner, owner.workspace_id) == []
