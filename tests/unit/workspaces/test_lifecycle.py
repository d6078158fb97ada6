"""After any sequence of actions a workspace has an owner, and only the expected members."""

import contextlib
from collections.abc import Generator
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.ids import MemberId
from opencode_cloud.contracts.permissions import Permission, Role, allows
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.ids import new_id
from opencode_cloud.workspaces.models import InvitationState
from tests.unit.workspaces.team import Place

PEOPLE = 5
anybody = st.integers(0, PEOPLE - 1)
roles = st.sampled_from(Role)


class Lifecycle(RuleBasedStateMachine):
    """A workspace of five people, compared with a model of two small dictionaries."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place, self.team = place, place.team
        self.people = [place.person(f"{new_id('x')}@example.com") for _ in range(PEOPLE)]
        self.workspace = place.founded(self.people[0]).id
        self.roles: dict[int, Role] = {0: Role.OWNER}
        self.invitations: dict[str, tuple[int, Role, InvitationState]] = {}

    def acting(self, who: int) -> Actor:
        """Return the actor of a member. The person must be a member."""
        return self.place.member(self.people[who], self.workspace)

    @contextlib.contextmanager
    def refused(self, *codes: str) -> Generator[None]:
        """Allow an action to be refused, with these codes only."""
        try:
            yield
        except ServiceError as error:
            if error.code not in codes:
                raise

    def owners(self) -> int:
        return list(self.roles.values()).count(Role.OWNER)

    def settle_open(self, whom: int) -> None:
        for invitation, (invited, role, state) in self.invitations.items():
            if invited == whom and state is InvitationState.PENDING:
                self.invitations[invitation] = (invited, role, InvitationState.REVOKED)

    @rule(by=anybody, whom=anybody, role=roles)
    def invite(self, by: int, whom: int, role: Role) -> None:
        if by not in self.roles or not allows(self.roles[by], None, Permission.MEMBER_INVITE):
            return
        with self.refused("owners_only", "already_member", "already_invited"):
            made = self.team.invitations.invite(self.acting(by), self.workspace, self.people[whom].name.upper(), role)
            assert role is not Role.OWNER or self.roles[by] is Role.OWNER
            assert whom not in self.roles
            self.invitations[made.id] = (whom, role, InvitationState.PENDING)

    @rule(by=anybody, data=st.data())
    def answer(self, by: int, data: Any) -> None:
        if not self.invitations:
            return
        invitation = data.draw(st.sampled_from(sorted(self.invitations)))
        accept = data.draw(st.booleans())
        invited, role, state = self.invitations[invitation]
        with self.refused("invitation_not_found", "invitation_settled"):
            if accept:
                self.team.invitations.accept(self.people[by], invitation)
                if state is InvitationState.ACCEPTED and by == invited and by in self.roles:
                    return  # It was repeated.
                self.roles.setdefault(invited, role)
            else:
                self.team.invitations.decline(self.people[by], invitation)
            assert by == invited
            assert state is InvitationState.PENDING
            answered = InvitationState.ACCEPTED if accept else InvitationState.DECLINED
            self.invitations[invitation] = (invited, role, answered)

    @rule(by=anybody, data=st.data())
    def withdraw(self, by: int, data: Any) -> None:
        may = by in self.roles and allows(self.roles[by], None, Permission.MEMBER_INVITE)
        if not self.invitations or not may:
            return
        invitation = data.draw(st.sampled_from(sorted(self.invitations)))
        invited, role, _ = self.invitations[invitation]
        with self.refused("owners_only", "invitation_settled"):
            self.team.invitations.revoke(self.acting(by), self.workspace, invitation)
            self.invitations[invitation] = (invited, role, InvitationState.REVOKED)

    @rule(by=anybody, whom=anybody, role=roles)
    def change_role(self, by: int, whom: int, role: Role) -> None:
        may = by in self.roles and allows(self.roles[by], None, Permission.MEMBER_UPDATE)
        if whom not in self.roles or not may:
            return
        member = self.acting(whom).id
        with self.refused("owners_only", "last_owner"):
            self.team.members.change_role(self.acting(by), self.workspace, MemberId(member), role)
            assert Role.OWNER not in {role, self.roles[whom]} or self.roles[by] is Role.OWNER
            self.roles[whom] = role

    @rule(by=anybody, whom=anybody)
    def remove(self, by: int, whom: int) -> None:
        may = by in self.roles and allows(self.roles[by], None, Permission.MEMBER_REMOVE)
        if whom not in self.roles or not may:
            return
        member = self.acting(whom).id
        with self.refused("owners_only", "last_owner"):
            self.team.members.remove(self.acting(by), self.workspace, MemberId(member))
            del self.roles[whom]
            self.settle_open(whom)

    @rule(who=anybody)
    def leave(self, who: int) -> None:
        if who not in self.roles:
            return
        with self.refused("last_owner"):
            self.team.members.leave(self.acting(who), self.workspace)
            del self.roles[who]
            self.settle_open(who)

    @rule(by=anybody, whom=anybody)
    def transfer(self, by: int, whom: int) -> None:
        if self.roles.get(by) is not Role.OWNER or whom not in self.roles:
            return
        with self.refused("transfer_to_self"):
            self.team.workspaces.transfer(self.acting(by), self.workspace, MemberId(self.acting(whom).id))
            self.roles[whom], self.roles[by] = Role.OWNER, Role.ADMIN

    @invariant()
    def there_is_an_owner(self) -> None:
        assert self.owners() >= 1

    @invariant()
    def the_members_are_those_who_joined_and_stayed(self) -> None:
        found = {each.email: each.role for each in self.team.members.members_of(self.workspace)}
        assert found == {self.people[who].name: role for who, role in self.roles.items()}

    @invariant()
    def invitations_are_in_the_state_that_people_brought_them_to(self) -> None:
        found = {each.id: each.state for each in self.team.invitations.of_workspace(self.workspace)}
        assert found == {invitation: state for invitation, (_, _, state) in self.invitations.items()}


def test_members_and_invitations(place: Place) -> None:
    machine: Any = lambda: Lifecycle(place)  # noqa: E731 - it takes the place of a class
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None))
