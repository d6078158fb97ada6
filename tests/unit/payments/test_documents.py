"""Each purchase has one invoice and each refund one credit note, with numbers without gaps (docs/billing-cases.md)."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from opencode_cloud.billing.models.payments import Shares
from opencode_cloud.contracts.ids import PaymentId, TopUpId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import NotFound, Unavailable
from opencode_cloud.payments.models import PaymentView, RefundView, TopUp, TopUpState
from opencode_cloud.payments.models.documents import DocumentKind, SaleDocument
from opencode_cloud.schema.payments import payment_documents
from tests.unit.billing.books import CENT
from tests.unit.crashes import Crash
from tests.unit.payments.shop import SELLER, TWENTY, Shop
from tests.unit.usage.events import OTHER, WORKSPACE


def die() -> None:
    raise Crash


def of(shop: Shop) -> list[SaleDocument]:
    return [document for _, _, document in shop.documents.of_workspace(WORKSPACE, None, 100)]


def test_a_purchase_has_one_invoice_whichever_events_come(shop: Shop) -> None:
    shop.buy()
    for _ in range(2):
        shop.deliver_all()
    (invoice,) = of(shop)
    assert (invoice.number, invoice.kind, invoice.total_cents) == ("INV-000001", DocumentKind.INVOICE, 2123)
    assert [(line.text, line.cents) for line in invoice.lines][1] == ("Processing fee", 123)
    assert sum(line.cents for line in invoice.lines) + invoice.tax_cents == invoice.total_cents
    assert (invoice.seller, invoice.buyer[0]) == (SELLER.splitlines(), "Acme")
    assert shop.documents.get(WORKSPACE, "INV-000001") == invoice


def test_parts_of_a_refund_have_credit_notes_that_add_up_to_the_invoice(shop: Shop) -> None:
    top_up = shop.buy()
    shop.deliver_all()
    for cents in (700, 700, 723):
        shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id, "amount": cents})
    shop.deliver_all()
    shop.deliver_all()

    *notes, invoice = of(shop)
    assert [note.number for note in notes] == ["CRN-000003", "CRN-000002", "CRN-000001"]
    assert sorted(note.total_cents for note in notes) == [-723, -700, -700]
    assert {note.corrects for note in notes} == {invoice.number}
    assert all(sum(line.cents for line in note.lines) == note.total_cents for note in notes)
    assert shop.balance == 0


def test_a_failed_refund_has_no_credit_note(shop: Shop) -> None:
    top_up = shop.buy(card="pm_card_refundFail")
    shop.deliver_all()
    shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id})
    shop.deliver(shop.events("refund.failed")[0])
    assert [document.kind for document in of(shop)] == [DocumentKind.INVOICE]


def test_a_refund_that_fails_after_its_credit_note_has_an_invoice_that_takes_the_note_back(shop: Shop) -> None:
    top_up = shop.buy()
    refund = shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id, "amount": 700})
    shop.deliver_all()
    shop.stand_in.control("refunds/fail", refund=refund.id)
    for _ in range(2):
        shop.deliver_all()

    undone, note, invoice = of(shop)
    assert (undone.number, undone.kind, undone.corrects) == ("INV-000002", DocumentKind.INVOICE, "CRN-000001")
    assert [line.cents for line in undone.lines] == [-line.cents for line in note.lines]
    assert (undone.total_cents, note.corrects) == (700, invoice.number)
    assert sum(each.total_cents for each in of(shop)) == 2123


def purchase(number: int) -> tuple[TopUp, PaymentView]:
    now = utc_now()
    top_up = TopUp(
        id=TopUpId(f"top_{number}"),
        workspace_id=WORKSPACE,
        credit=TWENTY,
        fee=0,
        currency="USD",
        state=TopUpState.OPEN,
        created_at=now,
        updated_at=now,
    )
    payment = PaymentView(
        id=PaymentId(f"pi_{number}"),
        status="succeeded",
        received=2000,
        currency="USD",
        customer_id="cus_1",
        top_up_id=top_up.id,
        code="",
        at=now,
    )
    return top_up, payment


def test_100_at_once_of_which_30_crash_have_the_numbers_1_to_70_in_the_order_of_their_dates(shop: Shop) -> None:
    """Case 64."""
    crashing = set(random.Random(64).sample(range(100), 30))

    def issue(number: int) -> None:
        # The first two of a series may conflict. The webhook tries again, too.
        for _ in range(20):
            try:
                with shop.books.place.outbox.unit() as unit:
                    shop.documents.invoice(unit, *purchase(number))
                    if number in crashing:
                        die()
            except Unavailable:
                continue
            except Crash:
                pass
            return

    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(issue, range(100)))

    rows = shop.rows(select(payment_documents).order_by(payment_documents.c.number))
    assert [row["number"] for row in rows] == list(range(1, 71))
    issued = [row["issued_at"] for row in rows]
    assert issued == sorted(issued)


def test_a_credit_note_has_the_tax_of_what_it_corrects(shop: Shop) -> None:
    """Case 35: net 20.00 at 10 % is 22.00, of which 2.00 is tax."""
    top_up, payment = purchase(1)
    refund = RefundView(id="re_1", status="succeeded", amount=2200, payment_id=payment.id, at=utc_now())
    with shop.books.place.outbox.unit() as unit:
        shop.documents.invoice(unit, top_up, payment)
        shop.documents.credit_note(unit, WORKSPACE, refund, Shares(credit=2000 * CENT, tax=200 * CENT))
    note = of(shop)[0]
    assert (note.tax_cents, note.total_cents) == (-200, -2200)


@pytest.mark.parametrize("statement", ["UPDATE payment_documents SET number = 9", "DELETE FROM payment_documents"])
def test_a_document_never_changes(shop: Shop, statement: str) -> None:
    shop.buy()
    shop.deliver_all()
    with pytest.raises(DBAPIError), shop.books.database.transaction() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize("number", ["INV-1", "inv-000001", "INV-000002", "XXX-000001", "INV-", "INV-९"])
def test_a_document_has_one_spelling(shop: Shop, number: str) -> None:
    shop.buy()
    shop.deliver_all()
    with pytest.raises(NotFound):
        shop.documents.get(WORKSPACE, number)


def test_a_document_of_another_workspace_is_not_found(shop: Shop) -> None:
    shop.buy()
    shop.deliver_all()
    with pytest.raises(NotFound):
        shop.documents.get(OTHER, "INV-000001")


def test_pages_of_documents_follow_each_other(shop: Shop) -> None:
    for number in range(3):
        with shop.books.place.outbox.unit() as unit:
            shop.documents.invoice(unit, *purchase(number))
    found: list[Any] = []
    before: tuple[datetime, str] | None = None
    while page := shop.documents.of_workspace(WORKSPACE, before, 2):
        found += page
        before = page[-1][:2]
    assert [document.number for _, _, document in found] == ["INV-000003", "INV-000002", "INV-000001"]
