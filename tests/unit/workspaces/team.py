"""A team over the real database, without AWS. Messages for the projection go to a list."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from opencode_cloud.composition.services.workspaces import workspace_services
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.contracts.outbox import OutboxMessage, Topic
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.sql import Database
from opencode_cloud.outbox.service import Outbox, WakeUp
from opencode_cloud.outbox.store import OutboxStore
from opencode_cloud.schema.audit import audit_entries
from opencode_cloud.schema.identity import accounts
from opencode_cloud.workspaces.models import Workspace

KEY = "a deployment's key"


class QuietStore(OutboxStore):
    """The outbox's table, without the relay's queue."""

    def wake(self, wake_up: WakeUp) -> None:
        pass


@dataclass
class Place:
    """A team, and its messages to the other planes."""

    database: Database
    messages: list[OutboxMessage] = field(default_factory=list[OutboxMessage])
    uses: dict[str, int] = field(default_factory=dict[str, int])
    unshared: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.outbox = Outbox(QuietStore(self.database, "no queue"), self._relay)
        self.team = workspace_services(
            self.database,
            self.outbox,
            lambda: KEY,
            "no key",
            lambda _: self.uses,
            self.unshared.append,
            check_domains=False,
        )

    def _relay(self, messages: Sequence[OutboxMessage]) -> None:
        self.messages.extend(messages)

    def told(self, topic: Topic) -> list[str]:
        """Return the subjects of all messages of a topic."""
        return [message.subject for message in self.messages if message.topic == topic]

    def person(self, email: str) -> Actor:
        """Create an account, and return its actor outside of workspaces."""
        account = new_id("acc")
        now = utc_now()
        row = {"id": account, "email": email, "name": "", "created_at": now, "updated_at": now}
        with self.database.transaction() as connection:
            connection.execute(accounts.insert(), row)
        return Actor(
            kind=ActorKind.ACCOUNT,
            credential=CredentialKind.SESSION,
            id=account,
            name=email,
            account_id=AccountId(account),
        )

    def founded(self, owner: Actor, name: str = "Acme") -> Workspace:
        """Create a workspace of ``owner``."""
        return self.team.workspaces.create(owner, name)

    def joined(self, by: Actor, email: str, role: str) -> Actor:
        """Create a person, invite them as ``by``, and accept; return the new member's actor."""
        person = self.person(email)
        invitation = self.team.invitations.invite(by, by.workspace_id, email, Role(role))
        self.team.invitations.accept(person, invitation.id)
        return self.member(person, by.workspace_id)

    def joined_again(self, by: Actor, member: Actor) -> None:
        """Invite a former member as ``by``, and accept for them."""
        invitation = self.team.invitations.invite(by, by.workspace_id, member.name, Role.MEMBER)
        self.team.invitations.accept(member, invitation.id)

    def member(self, person: Actor, workspace_id: WorkspaceId) -> Actor:
        """Return the actor of a member, as :class:`Access` would."""
        mine = {each.id: each for each in self.team.workspaces.memberships(person.account_id)}[workspace_id]
        return Actor(
            kind=ActorKind.MEMBER,
            credential=CredentialKind.SESSION,
            id=mine.member_id,
            name=person.name,
            account_id=person.account_id,
            workspace_id=workspace_id,
            role=mine.role,
        )

    def actions(self) -> list[str]:
        """Return the actions in the audit trail, in order."""
        with self.database.transaction() as connection:
            return list(connection.execute(select(audit_entries.c.action).order_by(audit_entries.c.id)).scalars())


@pytest.fixture
def place(database: Database) -> Place:
    return Place(database)


def code_of(caught: pytest.ExceptionInfo[ServiceError]) -> str:
    return caught.value.code
