"""Accounts of people who sign in, on the real database."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.identity.models import VerifiedPerson
from opencode_cloud.identity.service.methods import Methods
from opencode_cloud.identity.service.signing_in import SigningIn
from opencode_cloud.identity.store.accounts import AccountsStore
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.identity import accounts, logins
from opencode_cloud.schema.workspaces import workspaces
from tests.unit.workspaces.team import Place

AT_ONCE = 6


@pytest.mark.parametrize("attempt", range(10))
@pytest.mark.parametrize("kinds", [("email",), ("email", "github", "acme")])
def test_one_new_person_who_signs_in_many_times_at_once_is_one_account(
    database: Database, kinds: tuple[str, ...], attempt: int
) -> None:
    place = Place(database)
    signing_in = SigningIn(
        place.outbox, AccountsStore(), AuditTrail(AuditStore()), place.team.workspaces, place.team.invitations
    )
    email, begin = f"{secrets.token_hex(6)}@example.com", Barrier(AT_ONCE)

    def sign_in(number: int) -> str:
        person = VerifiedPerson(provider=kinds[number % len(kinds)], subject=email, email=email)
        begin.wait()
        return signing_in.account_of(person, Methods({}), "198.51.100.7", "")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(sign_in, range(AT_ONCE)))
    assert len(set(found)) == 1
    with database.transaction() as connection:
        tables = (accounts, logins, workspaces)
        counts = [connection.execute(select(func.count()).select_from(each)).scalar_one() for each in tables]
    assert counts == [1, len(kinds), 1]
