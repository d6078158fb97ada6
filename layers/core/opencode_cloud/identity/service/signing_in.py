"""Sign-in: from an address that a login method has verified to an account of this deployment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.errors import Conflict, Forbidden
from opencode_cloud.kit.mail_addresses import InvalidMailAddress, canonical_address

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.identity.models import Account, VerifiedPerson
    from opencode_cloud.identity.service.methods import Methods
    from opencode_cloud.identity.store.accounts import AccountsStore
    from opencode_cloud.outbox.service import Outbox, UnitOfWork

PERSONAL = "Personal"


class JoinableWorkspaces(Protocol):
    """The interface to workspaces."""

    def auto_join(self, unit: UnitOfWork, account_id: AccountId) -> Sequence[WorkspaceId]:
        """Add the account to the workspaces that admit its domain."""
        ...

    def create_in_unit(self, unit: UnitOfWork, account_id: AccountId, email: str, name: str) -> Any:
        """Create a workspace that the account owns."""
        ...


class PendingInvitations(Protocol):
    """The interface to invitations."""

    def pending_for(self, address: str) -> Sequence[Any]:
        """Return the pending invitations of a canonical address."""
        ...


class SigningIn:
    """Finds or creates the account of a verified person."""

    def __init__(
        self,
        outbox: Outbox,
        accounts: AccountsStore,
        audit: AuditTrail,
        workspaces: JoinableWorkspaces,
        invitations: PendingInvitations,
    ) -> None:
        self._outbox = outbox
        self._accounts = accounts
        self._audit = audit
        self._workspaces = workspaces
        self._invitations = invitations

    def account_of(self, person: VerifiedPerson, methods: Methods, address: str, correlation_id: str) -> AccountId:
        """Return the id of the account that ``person`` signs in to. The first sign-in makes it.

        An account is found by the login, else by the canonical form of the verified address. A new person without an
        invitation who joins no workspace by their domain gets their own workspace. Raises ``address_not_usable`` (403),
        ``domain_not_allowed`` (403), ``account_blocked`` (403), ``account_changed`` (409).
        """
        address_of_person = _usable_address(person)
        methods.check_domain(address_of_person)
        invited = bool(self._invitations.pending_for(address_of_person))
        with self._outbox.unit() as unit:
            known_account = self._existing_account(unit, person, address_of_person)
            # The unique address lets only one of several concurrent sign-ins create the account. The others find it.
            new_account = None if known_account else self._accounts.add(unit.connection, person)
            candidate = known_account or new_account or self._existing_account(unit, person, address_of_person)
            # Lock the account before writing its logins. All transactions use this order, else two could wait for each
            # other.
            account = self._accounts.get(unit.connection, candidate.id) if candidate else None
            if account is None:
                raise Conflict("account_changed", "Your account was changed at the same time. Sign in again.")
            if account.blocked:
                raise Forbidden("account_blocked", "This account is blocked. Ask the operator of this deployment.")
            self._accounts.note_login(unit.connection, account.id, person)
            joined = self._workspaces.auto_join(unit, account.id)
            if new_account:
                self._welcome(unit, account, alone=not joined and not invited)
            actor = Actor(
                kind=ActorKind.ACCOUNT,
                id=account.id,
                name=account.email,
                account_id=account.id,
                address=address,
                correlation_id=correlation_id,
            )
            target = Target("account", account.id, account.email)
            after = {"method": person.provider, "new": new_account is not None}
            self._audit.record(unit.connection, actor, "account.signed_in", target, after=after)
        return account.id

    def _existing_account(self, unit: UnitOfWork, person: VerifiedPerson, address: str) -> Account | None:
        known_account = self._accounts.by_login(unit.connection, person.provider, person.subject)
        return known_account or self._accounts.by_address(unit.connection, address)

    def _welcome(self, unit: UnitOfWork, account: Account, *, alone: bool) -> None:
        unit.emit(Topic.ACCOUNT, account.id)
        if alone:
            self._workspaces.create_in_unit(unit, account.id, account.email, PERSONAL)


def _usable_address(person: VerifiedPerson) -> str:
    """Return the canonical form of the address that a login method has verified."""
    try:
        return canonical_address(person.email)
    except InvalidMailAddress as error:
        raise Forbidden("address_not_usable", f"Your address cannot be used here. {error}") from error
