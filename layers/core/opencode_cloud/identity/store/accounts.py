"""Accounts and logins in MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.dialects.mysql import insert

from opencode_cloud.contracts.ids import AccountId
from opencode_cloud.identity.models import Account
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.schema.identity import accounts, logins

if TYPE_CHECKING:
    from opencode_cloud.identity.models import VerifiedPerson
    from opencode_cloud.kit.sql import Connection

_COLUMNS = (accounts.c.id, accounts.c.email, accounts.c.name, accounts.c.blocked_at)


class AccountsStore:
    """The tables ``accounts`` and ``logins``. Every method works in the transaction of ``connection``."""

    def by_login(self, connection: Connection, provider: str, subject: str) -> Account | None:
        """Return the account for a provider's id of a person."""
        query = select(*_COLUMNS).join(logins, logins.c.account_id == accounts.c.id)
        return self._one(connection, query.where(logins.c.provider == provider, logins.c.subject == subject))

    def by_address(self, connection: Connection, address: str) -> Account | None:
        """Return the account with this canonical address."""
        return self._one(connection, select(*_COLUMNS).where(accounts.c.address == address))

    def get(self, connection: Connection, account_id: AccountId) -> Account | None:
        """Return an account and lock it: other sign-ins to it wait until the transaction ends."""
        return self._one(connection, select(*_COLUMNS).where(accounts.c.id == account_id).with_for_update())

    def add(self, connection: Connection, person: VerifiedPerson) -> Account | None:
        """Make an account; None when a concurrent transaction has made one with this address."""
        now, account_id = utc_now(), AccountId(new_id("acc"))
        row = {"id": account_id, "email": person.email, "name": person.name, "created_at": now, "updated_at": now}
        statement = insert(accounts).values(row).on_duplicate_key_update(id=accounts.c.id)
        connection.execute(statement)
        return self.get(connection, account_id)

    def note_login(self, connection: Connection, account_id: AccountId, person: VerifiedPerson) -> None:
        """Record a sign-in by a provider.

        The first one stores the login, by which the provider's person is found again.
        """
        now = utc_now()
        row = {
            "id": new_id("lgn"),
            "account_id": account_id,
            "provider": person.provider,
            "subject": person.subject,
            "email": person.email,
            "created_at": now,
            "last_used_at": now,
        }
        noted = insert(logins).values(row)
        connection.execute(
            noted.on_duplicate_key_update(email=noted.inserted.email, address=noted.inserted.address, last_used_at=now)
        )

    def block(self, connection: Connection, account_id: AccountId, *, blocked: bool) -> None:
        """Block or unblock a person."""
        now = utc_now()
        values = {"blocked_at": now if blocked else None, "updated_at": now}
        connection.execute(accounts.update().where(accounts.c.id == account_id).values(values))

    def count(self, connection: Connection) -> int:
        """Return the number of accounts."""
        return connection.execute(select(func.count()).select_from(accounts)).scalar_one()

    def _one(self, connection: Connection, query: Any) -> Account | None:
        row = connection.execute(query).one_or_none()
        return Account(id=row.id, email=row.email, name=row.name, blocked=row.blocked_at is not None) if row else None
