"""A coupon is redeemed as often as it may be, and once by each workspace (case 8 of docs/billing-cases.md)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest

from opencode_cloud.billing.service.coupons import Coupons
from opencode_cloud.billing.store.coupons import CouponStore
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import Conflict, NotFound, ServiceError, Unprocessable
from opencode_cloud.operators.command import command_of, parser
from tests.unit.billing.books import DOLLAR, Books
from tests.unit.crashes import Crash, dying_before
from tests.unit.usage.events import OTHER, WORKSPACE

ANN = Actor(kind=ActorKind.OPERATOR, name="ann", role="owner")


@pytest.fixture
def coupons(books: Books) -> Coupons:
    return Coupons(books.booking, CouponStore(), books.audit)


def test_12_at_once_on_a_cap_of_8_make_exactly_8_grants(books: Books, coupons: Coupons) -> None:
    coupons.create(ANN, "LAUNCH", 5 * DOLLAR, 8, None, "launch")
    places = [WorkspaceId(f"wrk_{number:026d}") for number in range(12)]
    books.found(*places)

    def redeem(workspace_id: WorkspaceId) -> str:
        try:
            coupons.redeem(ANN, workspace_id, "launch")
        except ServiceError as error:
            return error.code
        return "redeemed"

    with ThreadPoolExecutor(6) as crowd:
        answers = sorted(crowd.map(redeem, places))

    assert answers == ["coupon_not_found"] * 4 + ["redeemed"] * 8
    assert sum(books.available(each) for each in places) == 40 * DOLLAR
    books.verify()


def test_a_workspace_redeems_a_coupon_once_in_any_case_and_it_is_audited(books: Books, coupons: Coupons) -> None:
    coupons.create(ANN, "Launch", 5 * DOLLAR, 8, None, "launch")
    coupons.redeem(ANN, WORKSPACE, " launch ")
    with pytest.raises(Conflict):
        coupons.redeem(ANN, WORKSPACE, "LAUNCH")
    coupons.redeem(ANN, OTHER, "LAUNCH")

    assert (books.available(), books.available(OTHER)) == (5 * DOLLAR, 5 * DOLLAR)
    assert books.place.actions() == ["coupon.created", "coupon.redeemed", "coupon.redeemed"]


def test_a_crash_at_any_statement_counts_and_grants_or_neither(books: Books, coupons: Coupons) -> None:
    coupons.create(ANN, "LAUNCH", 5 * DOLLAR, 1, None, "launch")
    fatal, done = 0, False
    while not done:
        fatal += 1
        # After a conflict, the process before died after its commit.
        with suppress(Crash), dying_before(books.database, fatal):
            with suppress(Conflict):
                coupons.redeem(ANN, WORKSPACE, "LAUNCH")
            done = True
        assert books.available() in (0, 5 * DOLLAR)
    assert fatal > 5
    assert books.available() == 5 * DOLLAR
    books.verify()


def test_the_credit_of_a_coupon_ends_after_its_days_for_each_workspace(books: Books, coupons: Coupons) -> None:
    coupons.create(ANN, "TRIAL", 5 * DOLLAR, 8, None, "trial", 30)
    before = utc_now().replace(microsecond=0)
    coupons.redeem(ANN, WORKSPACE, "TRIAL")
    after = utc_now()
    assert books.available(at=before + timedelta(days=30, seconds=-1)) == 5 * DOLLAR
    assert books.available(at=after + timedelta(days=30)) == 0
    with pytest.raises(Conflict):
        coupons.redeem(ANN, WORKSPACE, "TRIAL")
    with pytest.raises(Conflict):
        coupons.create(ANN, "TRIAL", 5 * DOLLAR, 8, None, "trial", 31)
    books.verify()


def test_a_coupon_that_has_ended_or_never_was_credits_nothing(books: Books, coupons: Coupons) -> None:
    coupons.create(ANN, "PAST", 5 * DOLLAR, 8, utc_now() - timedelta(seconds=1), "launch")
    for code in ("PAST", "NONE"):
        with pytest.raises(NotFound):
            coupons.redeem(ANN, WORKSPACE, code)
    assert books.available() == 0


def test_a_code_has_one_meaning(coupons: Coupons) -> None:
    first = coupons.create(ANN, "LAUNCH", 5 * DOLLAR, 8, None, "launch")
    assert coupons.create(ANN, "LAUNCH", 5 * DOLLAR, 8, None, "again").reason == first.reason
    with pytest.raises(Conflict):
        coupons.create(ANN, "LAUNCH", 6 * DOLLAR, 8, None, "launch")
    with pytest.raises(Unprocessable):
        coupons.create(ANN, "FREE", 0, 8, None, "launch")


def test_without_a_ledger_nothing_is_redeemed(books: Books) -> None:
    off = Coupons(books.booking, CouponStore(), books.audit, enabled=False)
    with pytest.raises(NotFound):
        off.redeem(ANN, WORKSPACE, "LAUNCH")


def test_the_command_line_makes_a_coupon() -> None:
    asked = ["billing", "coupon", "LAUNCH", "5", "--uses", "8", "--until", "2026-12-31T00:00:00", "--credit-days", "30"]
    asked += ["--reason", "r"]
    command = command_of(parser().parse_args(asked))
    assert command["credit_days"] == 30
    assert (command["action"], command["key"], command["micro_cents"], command["uses"]) == (
        "coupon",
        "LAUNCH",
        5 * DOLLAR,
        8,
    )
