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
from opencode_cloud.kit.errors import Forbidden
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


ALIKE = [
    ("ada@strasse.example", "ada@stra\u00dfe.example"),
    ("ada@\u03b1\u03c3.example", "ada@\u03b1\u03c2.example"),
    ("ada@bucher.example", "ada@b\u00fccher.example"),
]


def entrance(database: Database) -> SigningIn:
    place = Place(database)
    return SigningIn(
        place.outbox, AccountsStore(), AuditTrail(AuditStore()), place.team.workspaces, place.team.invitations
    )


def sign_in(signing_in: SigningIn, email: str, provider: str = "acme", subject: str = "") -> str:
    person = VerifiedPerson(provider=provider, subject=subject or email, email=email)
    return signing_in.account_of(person, Methods({}), "198.51.100.7", "")


@pytest.mark.parametrize("provider", ["email", "github", "acme"])
@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_only_look_alike_are_two_accounts(database: Database, one: str, other: str, provider: str) -> None:
    signing_in = entrance(database)
    first = sign_in(signing_in, one)
    second = sign_in(signing_in, other, provider)
    assert first != second
    assert [sign_in(signing_in, each, "okta") for each in (one, other)] == [first, second]


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ada@Example.com", "ada@example.COM"), ("ada@B\u00dcCHER.example", "ada@xn--bcher-kva.example")],
)
def test_spellings_of_one_address_are_one_account(database: Database, one: str, other: str) -> None:
    signing_in = entrance(database)
    assert sign_in(signing_in, one) == sign_in(signing_in, other, "okta")


@pytest.mark.parametrize(
    "email", ["jos\u00e9@example.com", "\ufb01nance@example.com", "bo\u017fs@example.com", "\u212a@example.com"]
)
def test_an_address_that_cannot_be_mailed_signs_nobody_in(database: Database, email: str) -> None:
    signing_in = entrance(database)
    with pytest.raises(Forbidden) as refused:
        sign_in(signing_in, email)
    assert refused.value.code == "address_not_usable"
    with database.transaction() as connection:
        assert connection.execute(select(func.count()).select_from(accounts)).scalar_one() == 0


def test_a_login_follows_the_address_that_its_provider_verifies_last(database: Database) -> None:
    signing_in = entrance(database)
    account = sign_in(signing_in, "ada@old.example", subject="7")
    assert sign_in(signing_in, "Ada@New.example", subject="7") == account
    with database.transaction() as connection:
        assert connection.execute(select(logins.c.address)).scalar_one() == "ada@new.example"
