"""Invitations: links, expiry, permission to answer, queued mails."""

from datetime import timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import select, update

from opencode_cloud.contracts.actor import ANONYMOUS, CredentialKind
from opencode_cloud.contracts.ids import MemberId
from opencode_cloud.contracts.mail_secrets import invitation_token
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.ids import new_id
from opencode_cloud.schema.identity import accounts, logins
from opencode_cloud.schema.mail import mails
from opencode_cloud.schema.workspaces import invitations
from opencode_cloud.workspaces.models import InvitationState
from tests.unit.workspaces.team import KEY, Place, code_of


def age(place: Place, invitation: str, by: timedelta) -> None:
    """Change the times of an invitation and its mail to earlier ones."""
    with place.database.transaction() as connection:
        row = connection.execute(select(invitations).where(invitations.c.id == invitation)).one()
        times = {"created_at": row.created_at - by, "expires_at": row.expires_at - by}
        connection.execute(update(invitations).where(invitations.c.id == invitation).values(times))
        connection.execute(update(mails).where(mails.c.id == row.mail_id).values(created_at=row.created_at - by))


def test_an_invitation_queues_a_mail_without_any_secret(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    invitation = place.team.invitations.invite(owner, owner.workspace_id, " Bob@Example.com ", Role.MEMBER)
    assert invitation.email == "Bob@example.com"
    with place.database.transaction() as connection:
        mail = connection.execute(select(mails)).one()
    assert place.told(Topic.MAIL) == [mail.id]
    assert (mail.recipient, mail.template) == ("Bob@example.com", "invitation")
    token = invitation_token(KEY, invitation.id, 1)
    assert token not in str(mail.variables)
    assert place.team.invitations.by_token(token).id == invitation.id


def test_a_new_mail_ends_the_old_link(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    invitation = place.team.invitations.invite(owner, owner.workspace_id, "bob@example.com", Role.MEMBER).id
    with pytest.raises(ServiceError) as caught:
        place.team.invitations.resend(owner, owner.workspace_id, invitation)
    assert code_of(caught) == "resent_too_soon"
    age(place, invitation, timedelta(days=8))
    assert place.team.invitations.get(owner.workspace_id, invitation).state is InvitationState.EXPIRED
    resent = place.team.invitations.resend(owner, owner.workspace_id, invitation)
    assert resent.state is InvitationState.PENDING
    assert place.team.invitations.by_token(invitation_token(KEY, invitation, 2)).id == invitation
    with pytest.raises(ServiceError) as caught:
        place.team.invitations.by_token(invitation_token(KEY, invitation, 1))
    assert code_of(caught) == "invitation_not_found"


def test_an_expired_invitation_is_not_accepted_and_a_new_one_takes_its_place(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.person("bob@example.com")
    old = place.team.invitations.invite(owner, owner.workspace_id, "bob@example.com", Role.ADMIN).id
    age(place, old, timedelta(days=7, seconds=1))
    assert place.team.invitations.of_account(bob.account_id) == []
    with pytest.raises(ServiceError) as caught:
        place.team.invitations.accept(bob, old)
    assert code_of(caught) == "invitation_settled"
    new = place.team.invitations.invite(owner, owner.workspace_id, "bob@example.com", Role.MEMBER).id
    assert place.team.invitations.get(owner.workspace_id, old).state is InvitationState.REVOKED
    place.team.invitations.accept(bob, new)
    assert place.member(bob, owner.workspace_id).role == Role.MEMBER


def test_only_a_person_with_the_invited_address_answers(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    invitation = place.team.invitations.invite(owner, owner.workspace_id, "bob@example.com", Role.MEMBER).id
    eve = place.person("eve@example.com")
    for answer in (place.team.invitations.accept, place.team.invitations.decline):
        with pytest.raises(ServiceError) as caught:
            answer(eve, invitation)
        assert code_of(caught) == "invitation_not_found"


def test_a_repeated_acceptance_is_answered_like_the_first_while_the_person_is_a_member(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    invitation = place.team.invitations.invite(owner, owner.workspace_id, "bob@example.com", Role.MEMBER).id
    bob, eve = place.person("bob@example.com"), place.person("eve@example.com")
    first = place.team.invitations.accept(bob, invitation)
    entries, messages = len(place.actions()), len(place.messages)
    assert place.team.invitations.accept(bob, invitation) == first
    assert (len(place.actions()), len(place.messages)) == (entries, messages)
    with pytest.raises(ServiceError) as caught:
        place.team.invitations.accept(eve, invitation)
    assert code_of(caught) == "invitation_not_found"
    place.team.members.remove(owner, owner.workspace_id, MemberId(place.member(bob, owner.workspace_id).id))
    with pytest.raises(ServiceError) as caught:
        place.team.invitations.accept(bob, invitation)
    assert code_of(caught) == "invitation_settled"


def test_an_address_of_any_login_counts(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.person("bob@home.example")
    login = {
        "id": new_id("lgn"),
        "account_id": bob.account_id,
        "provider": "github",
        "subject": "7",
        "email": "Bob@Work.example",
        "created_at": utc_now(),
        "last_used_at": utc_now(),
    }
    with place.database.transaction() as connection:
        connection.execute(logins.insert(), login)
    invitation = place.team.invitations.invite(owner, owner.workspace_id, "bob@work.example", Role.MEMBER)
    assert [each.id for each in place.team.invitations.of_account(bob.account_id)] == [invitation.id]
    place.team.invitations.accept(bob, invitation.id)
    with pytest.raises(ServiceError) as caught:
        place.team.invitations.invite(owner, owner.workspace_id, "bob@work.example", Role.MEMBER)
    assert code_of(caught) == "already_member"


def test_who_holds_the_link_may_decline_without_an_account(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    invitation = place.team.invitations.invite(owner, owner.workspace_id, "bob@example.com", Role.MEMBER)
    place.team.invitations.decline_by_token(invitation_token(KEY, invitation.id, 1), ANONYMOUS)
    assert place.team.invitations.get(owner.workspace_id, invitation.id).state is InvitationState.DECLINED


def test_nobody_joins_a_workspace_that_is_blocked_or_deleted(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.person("bob@example.com")
    invitation = place.team.invitations.invite(owner, owner.workspace_id, "bob@example.com", Role.MEMBER).id
    place.team.workspaces.block(owner, owner.workspace_id)
    assert place.team.invitations.of_account(bob.account_id) == []
    with pytest.raises(ServiceError) as caught:
        place.team.invitations.accept(bob, invitation)
    assert code_of(caught) == "invitation_not_found"
    place.team.workspaces.unblock(owner, owner.workspace_id)
    place.team.invitations.accept(bob, invitation)


def test_an_invitation_of_another_workspace_is_not_found(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    stranger = place.member(eve := place.person("eve@example.com"), place.founded(eve).id)
    invitation = place.team.invitations.invite(owner, owner.workspace_id, "bob@example.com", Role.MEMBER).id
    for attempt in (place.team.invitations.resend, place.team.invitations.revoke):
        with pytest.raises(ServiceError) as caught:
            attempt(stranger, stranger.workspace_id, invitation)
        assert code_of(caught) == "invitation_not_found"


def test_a_key_cannot_accept_or_leave_for_its_holder(place: Place) -> None:
    owner = place.member(ada := place.person("ada@example.com"), place.founded(ada).id)
    bob = place.joined(owner, "bob@example.com", "member")
    key = replace(bob, credential=CredentialKind.KEY, scopes=frozenset({"usage"}))
    with pytest.raises(ServiceError) as caught:
        place.team.members.leave(key, owner.workspace_id)
    assert code_of(caught) == "person_required"


ALIKE = [
    ("ada@strasse.example", "ada@stra\u00dfe.example"),
    ("ada@\u03b1\u03c3.example", "ada@\u03b1\u03c2.example"),
    ("ada@bucher.example", "ada@b\u00fccher.example"),
]


@pytest.mark.parametrize(("one", "other"), [*ALIKE, *(pair[::-1] for pair in ALIKE)])
def test_names_that_only_look_alike_are_two_people(place: Place, one: str, other: str) -> None:
    owner = place.member(ada := place.person("owner@example.com"), place.founded(ada).id)
    person, neighbour = place.person(one), place.person(other)
    invitation = place.team.invitations.invite(owner, owner.workspace_id, one, Role.MEMBER)
    assert place.team.invitations.of_account(neighbour.account_id) == []
    with pytest.raises(ServiceError) as caught:
        place.team.invitations.accept(neighbour, invitation.id)
    assert code_of(caught) == "invitation_not_found"
    theirs = place.team.invitations.invite(owner, owner.workspace_id, other, Role.MEMBER)
    place.team.invitations.accept(neighbour, theirs.id)
    place.team.members.remove(owner, owner.workspace_id, MemberId(place.member(neighbour, owner.workspace_id).id))
    assert place.team.invitations.get(owner.workspace_id, invitation.id).state is InvitationState.PENDING
    place.team.invitations.accept(person, invitation.id)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada@Example.com", "ada@example.COM"),
        ("ada@B\u00dcCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\u0308cher.example", "Ada@b\u00fccher.example"),
    ],
)
def test_spellings_of_one_address_are_one_person(place: Place, one: str, other: str) -> None:
    owner = place.member(ada := place.person("owner@example.com"), place.founded(ada).id)
    person = place.person(one)
    invitation = place.team.invitations.invite(owner, owner.workspace_id, other, Role.MEMBER)
    for again in (one, other):
        with pytest.raises(ServiceError) as caught:
            place.team.invitations.invite(owner, owner.workspace_id, again, Role.MEMBER)
        assert code_of(caught) == "already_invited"
    place.team.invitations.accept(person, invitation.id)
    with pytest.raises(ServiceError) as caught:
        place.team.invitations.invite(owner, owner.workspace_id, other, Role.MEMBER)
    assert code_of(caught) == "already_member"


@pytest.mark.parametrize(
    "email", ["jos\u00e9@example.com", "o\ufb00i@example.com", "bo\u017fs@example.com", "ada@", "ada"]
)
def test_an_address_that_cannot_be_mailed_is_not_invited(place: Place, email: str) -> None:
    owner = place.member(ada := place.person("owner@example.com"), place.founded(ada).id)
    with pytest.raises(ServiceError) as caught:
        place.team.invitations.invite(owner, owner.workspace_id, email, Role.MEMBER)
    assert code_of(caught) == "invalid_address"
    assert place.told(Topic.MAIL) == []


def test_a_mail_goes_to_the_a_label(place: Place) -> None:
    owner = place.member(ada := place.person("owner@example.com"), place.founded(ada).id)
    invitation = place.team.invitations.invite(owner, owner.workspace_id, "Ada@b\u00fccher.example", Role.MEMBER)
    assert invitation.email == "Ada@b\u00fccher.example"
    with place.database.transaction() as connection:
        assert connection.execute(select(mails.c.recipient)).scalar_one() == "Ada@xn--bcher-kva.example"


class Inviting:
    """A workspace whose admin has invited somebody."""

    def __init__(self, place: Place, role: Role = Role.MEMBER) -> None:
        self.place = place
        ada = place.person("ada@example.com")
        self.owner = place.member(ada, place.founded(ada).id)
        self.workspace_id = self.owner.workspace_id
        self.inviter = place.joined(self.owner, "inviter@example.com", "owner" if role is Role.OWNER else "admin")
        self.guest = place.person("guest@example.com")
        invitation = place.team.invitations.invite(self.inviter, self.workspace_id, "guest@example.com", role)
        self.invitation_id = invitation.id

    @property
    def state(self) -> InvitationState:
        """The state that the owner sees."""
        return self.place.team.invitations.get(self.workspace_id, self.invitation_id).state

    def check_withdrawn(self) -> None:
        """Check that nothing comes of the invitation."""
        invitations_, pending = self.place.team.invitations, InvitationState.PENDING
        assert self.state is InvitationState.REVOKED
        assert invitations_.of_account(self.guest.account_id) == []
        assert invitations_.of_workspace(self.workspace_id, state=pending) == []
        with pytest.raises(ServiceError) as caught:
            invitations_.accept(self.guest, self.invitation_id)
        assert code_of(caught) == "invitation_settled"
        invitations_.invite(self.owner, self.workspace_id, "guest@example.com", Role.MEMBER)

    def block(self, *, blocked: bool) -> None:
        """Block the inviter's account, or unblock it."""
        at = utc_now() if blocked else None
        with self.place.database.transaction() as connection:
            here = accounts.c.id == self.inviter.account_id
            connection.execute(update(accounts).where(here).values(blocked_at=at))


def test_an_invitation_ends_with_the_membership_of_its_inviter(place: Place) -> None:
    case = Inviting(place)
    place.team.members.remove(case.owner, case.workspace_id, MemberId(case.inviter.id))
    place.joined_again(case.owner, case.inviter)
    assert "invitation.revoked" in place.actions()
    case.check_withdrawn()


def test_an_invitation_ends_with_the_right_of_its_inviter(place: Place) -> None:
    case = Inviting(place)
    place.team.members.change_role(case.owner, case.workspace_id, MemberId(case.inviter.id), Role.MEMBER)
    place.team.members.change_role(case.owner, case.workspace_id, MemberId(case.inviter.id), Role.ADMIN)
    case.check_withdrawn()


def test_an_invitation_of_an_owner_needs_an_inviter_who_is_one(place: Place) -> None:
    case = Inviting(place, Role.OWNER)
    place.team.members.change_role(case.owner, case.workspace_id, MemberId(case.inviter.id), Role.ADMIN)
    case.check_withdrawn()


def test_a_right_is_looked_up_when_an_invitation_is_used(place: Place) -> None:
    case = Inviting(place)
    case.block(blocked=True)
    assert case.state is InvitationState.REVOKED
    with pytest.raises(ServiceError) as caught:
        place.team.invitations.accept(case.guest, case.invitation_id)
    assert code_of(caught) == "invitation_settled"
    case.block(blocked=False)
    place.team.invitations.accept(case.guest, case.invitation_id)


def test_a_person_who_resends_an_invitation_becomes_its_inviter(place: Place) -> None:
    case = Inviting(place)
    age(place, case.invitation_id, timedelta(minutes=2))
    assert (
        place.team.invitations.resend(case.owner, case.workspace_id, case.invitation_id).invited_by == case.owner.name
    )
    place.team.members.remove(case.owner, case.workspace_id, MemberId(case.inviter.id))
    place.team.invitations.accept(case.guest, case.invitation_id)


def test_invitations_of_others_stand(place: Place) -> None:
    case = Inviting(place)
    own = place.team.invitations.invite(case.owner, case.workspace_id, "other@example.com", Role.ADMIN)
    place.team.members.remove(case.owner, case.workspace_id, MemberId(case.inviter.id))
    assert place.team.invitations.get(case.workspace_id, own.id).state is InvitationState.PENDING
