"""Operators grant, adjust with a second approval, and reverse. Each command is audited and booked once."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import select

from opencode_cloud.billing.commands import BillingCommand, execute_billing_command
from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.billing.models.proposals import Proposal
from opencode_cloud.billing.models.transactions import LedgerTransaction
from opencode_cloud.billing.service import drafts
from opencode_cloud.billing.service.credits import Credits
from opencode_cloud.billing.store.payments import PaymentStore
from opencode_cloud.billing.store.proposals import ProposalStore
from opencode_cloud.composition.services.billing import billing_services
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import LedgerTransactionId, PaymentId
from opencode_cloud.kit.errors import BadRequest, Conflict, NotFound, Unprocessable
from opencode_cloud.operators.command import command_of, parser
from opencode_cloud.schema.audit import audit_entries
from tests.unit.billing.books import AT, DOLLAR, Books
from tests.unit.billing.test_payments import TWENTY
from tests.unit.usage.events import WORKSPACE

ANN, BEN = (Actor(kind=ActorKind.OPERATOR, name=name, role="owner") for name in ("ann", "ben"))


@pytest.fixture
def desk(books: Books) -> Credits:
    return Credits(books.booking, books.store, ProposalStore(), PaymentStore(), books.audit)


def adjusted(found: LedgerTransaction | Proposal) -> LedgerTransaction:
    assert isinstance(found, LedgerTransaction)
    return found


def test_a_grant_is_made_once_for_its_key_and_audited_once(books: Books, desk: Credits) -> None:
    for _ in range(3):
        desk.grant(ANN, WORKSPACE, 10 * DOLLAR, "pilot", "k")
    with pytest.raises(Conflict):
        desk.grant(ANN, WORKSPACE, 11 * DOLLAR, "pilot", "k")
    assert (books.available(), books.limit()) == (10 * DOLLAR, 10 * DOLLAR)
    assert books.place.actions() == ["credit.granted"]


def test_a_typo_is_undone_by_the_opposite_transaction_which_names_it(books: Books, desk: Credits) -> None:
    wrong = adjusted(desk.adjust(ANN, WORKSPACE, 95 * DOLLAR, "typo", "k"))
    undone = desk.reverse(ANN, wrong.id, "typo")
    assert desk.reverse(ANN, wrong.id, "typo").id == undone.id
    assert undone.corrects == wrong.id
    assert books.available() == 0
    assert books.place.actions() == ["balance.adjusted", "transaction.reversed"]
    books.verify()


def test_reversed_usage_is_given_back_to_the_gateway_too(books: Books, desk: Credits) -> None:
    desk.grant(ANN, WORKSPACE, 10 * DOLLAR, "pilot", "k")
    books.take(books.use(1, 4 * DOLLAR))
    desk.reverse(ANN, books.transactions()[-1].id, "wrong price")
    # The gateway's counter keeps the 4 that were spent, so the limit grows by them.
    assert (books.available(), books.limit()) == (10 * DOLLAR, 14 * DOLLAR)
    assert books.sum(AccountKind.REVENUE) == 0


def test_a_large_adjustment_needs_a_second_operator(books: Books, desk: Credits) -> None:
    proposal = desk.adjust(ANN, WORKSPACE, -101 * DOLLAR, "chargeback", "k")
    assert isinstance(proposal, Proposal)
    assert books.available() == 0
    with pytest.raises(Conflict) as caught:
        desk.approve(ANN, proposal.id)
    assert caught.value.code == "second_person"
    desk.approve(BEN, proposal.id)
    with pytest.raises(Conflict) as caught:
        desk.approve(BEN, proposal.id)
    assert caught.value.code == "proposal_done"
    assert (books.available(), books.limit()) == (-101 * DOLLAR, 0)
    assert books.place.actions() == ["adjustment.proposed", "balance.adjusted"]


def test_a_large_adjustment_is_proposed_and_booked_once_for_its_key(books: Books, desk: Credits) -> None:
    proposal = desk.adjust(ANN, WORKSPACE, 101 * DOLLAR, "gift", "k")
    assert isinstance(proposal, Proposal)
    assert desk.adjust(ANN, WORKSPACE, 101 * DOLLAR, "gift", "k") == proposal
    booked = desk.approve(BEN, proposal.id)
    assert adjusted(desk.adjust(ANN, WORKSPACE, 101 * DOLLAR, "gift", "k")).id == booked.id
    assert books.available() == 101 * DOLLAR
    assert books.place.actions() == ["adjustment.proposed", "balance.adjusted"]


@pytest.mark.parametrize(("first", "second"), [(101, 102), (101, 5), (5, 101)])
def test_another_amount_under_the_key_of_an_adjustment_is_refused(
    books: Books, desk: Credits, first: int, second: int
) -> None:
    desk.adjust(ANN, WORKSPACE, first * DOLLAR, "gift", "k")
    with pytest.raises(Conflict) as caught:
        desk.adjust(ANN, WORKSPACE, second * DOLLAR, "gift", "k")
    assert caught.value.code == "idempotency_key_reused"
    assert len(books.place.actions()) == 1


def test_the_audit_trail_shows_the_amount_of_a_reversal(books: Books, desk: Credits) -> None:
    wrong = adjusted(desk.adjust(ANN, WORKSPACE, 95 * DOLLAR, "typo", "k"))
    desk.reverse(ANN, wrong.id, "typo")
    found = books.rows(select(audit_entries.c.after).where(audit_entries.c.action == "transaction.reversed"))
    assert [row["after"]["amount"] for row in found] == [-95 * DOLLAR]


def test_a_payment_is_refunded_and_not_reversed(books: Books, desk: Credits) -> None:
    (payment,) = books.book(drafts.top_up(WORKSPACE, PaymentId("pi_1"), TWENTY, AT))
    with pytest.raises(Conflict) as caught:
        desk.reverse(ANN, payment.id, "no")
    assert caught.value.code == "not_reversible"


def test_unknown_things_and_impossible_amounts_are_refused(desk: Credits) -> None:
    for amount in (0, 2**60):
        with pytest.raises(Unprocessable):
            desk.grant(ANN, WORKSPACE, amount, "no", "k")
    with pytest.raises(NotFound):
        desk.reverse(ANN, LedgerTransactionId("ltx_0"), "no")
    with pytest.raises(NotFound):
        desk.approve(ANN, "lpr_0")
    with pytest.raises(NotFound):
        desk.adjust(ANN, WORKSPACE, 1, "no", "k", LedgerTransactionId("ltx_0"))


def test_commands_say_what_was_booked_and_what_is_missing(books: Books) -> None:
    made = billing_services(books.database, books.place.outbox, books.audit, enabled=True)
    assert made is not None
    desk = made
    command = BillingCommand(action="adjust", workspace_id=WORKSPACE, micro_cents=DOLLAR, reason="gift", key="k")
    shown = execute_billing_command(command, desk, ANN)
    assert shown["kind"] == "adjustment"
    large = BillingCommand(action="adjust", workspace_id=WORKSPACE, micro_cents=101 * DOLLAR, reason="gift", key="l")
    proposed = execute_billing_command(large, desk, ANN)
    approved = execute_billing_command(BillingCommand(action="approve", proposal_id=proposed["proposal"]), desk, BEN)
    reverse = BillingCommand(action="reverse", transaction_id=approved["id"], reason="too much")
    assert execute_billing_command(reverse, desk, ANN)["corrects"] == approved["id"]
    with pytest.raises(BadRequest, match="proposal_id"):
        execute_billing_command(BillingCommand(action="approve"), desk, ANN)
    assert execute_billing_command(BillingCommand(action="reconcile"), desk, ANN) == []
    assert execute_billing_command(BillingCommand(action="verify"), desk, ANN) == []
    lines = execute_billing_command(BillingCommand(action="trial-balance"), desk, ANN)
    assert sum(line["posted"] for line in lines) == 0
    assert len(execute_billing_command(BillingCommand(action="export"), desk, ANN)["transactions"]) == 3
    statement = BillingCommand(action="statement", workspace_id=WORKSPACE, period="2020-01")
    with pytest.raises(NotFound):
        execute_billing_command(statement, desk, ANN)
    with pytest.raises(Conflict):
        execute_billing_command(BillingCommand(action="close", period="2999-01"), desk, ANN)


def test_the_command_line_says_what_the_function_expects() -> None:
    for arguments, expected in (
        (["billing", "adjust", WORKSPACE, "-2.50", "--reason", "r", "--key", "k"], {"micro_cents": -250_000_000}),
        (["billing", "approve", "lpr_1"], {"proposal_id": "lpr_1"}),
        (["billing", "assign", "pi_1", WORKSPACE, "--reason", "r"], {"payment_id": "pi_1", "workspace_id": WORKSPACE}),
        (["billing", "reverse", "ltx_1", "--reason", "r"], {"transaction_id": "ltx_1"}),
        (["billing", "close", "2026-11"], {"period": "2026-11"}),
        (["billing", "reconcile", "--days", "7"], {"days": 7}),
    ):
        command = command_of(parser().parse_args(arguments))
        converted = msgspec.convert({"type": "billing", **command}, BillingCommand)
        assert {name: getattr(converted, name) for name in expected} == expected
