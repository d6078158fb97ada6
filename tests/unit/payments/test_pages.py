"""The pages of billing and payments: what people see and do there, over the real services and the stand-in."""

from __future__ import annotations

import base64
import json
import re
import secrets
from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader
from sqlalchemy import select, update

from local.stripe import StripeStandIn
from opencode_cloud.composition import console, payments
from opencode_cloud.composition.control_plane import ControlPlane
from opencode_cloud.composition.services.billing import billing_services
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.settings import load
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.payments import auto_reloads, payment_refunds, plan_invoices, plans, top_ups
from tests.browsing import Page
from tests.stripe_stand_in import StandIn
from tests.unit.aws import Cloud, by_boto3
from tests.unit.billing.books import DOLLAR
from tests.unit.composition.test_settings import environment_of
from tests.unit.console.office import Office


class Cashier(Office):
    """A workspace on a deployment that keeps a ledger and sells credit."""

    def __init__(
        self,
        cloud: Cloud,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        server: StripeStandIn,
        **changed: str,
    ) -> None:
        super().__init__(cloud, database, monkeypatch)
        self.stand_in = StandIn(server, f"sk_test_{secrets.token_hex(12)}")
        document = json.dumps({"api_key": self.stand_in.key, "webhook_secrets": ["whsec_one"]})
        arn = by_boto3("secretsmanager").create_secret(Name="STRIPE", SecretString=document)["ARN"]
        own = {
            "BILLING": "1",
            "STRIPE_SECRET": arn,
            "STRIPE_API_URL": server.url,
            "PROCESSING_FEE": "0.044+30",
            "INVOICE_SELLER": "Example Software GmbH\nVAT ID: DE123456789",
            "SEAT_PRICE": str(20 * DOLLAR),
            "SEAT_CREDIT": str(5 * DOLLAR),
            "RELOADS_QUEUE_URL": cloud.queue("RELOADS"),
            "WEBHOOKS_QUEUE_URL": cloud.queue("WEBHOOKS"),
        }
        values = {**self.values, **own, **changed}
        self.address: dict[str, str] = {}
        self._console = console.build(
            load(console.ConsoleSettings, {**environment_of(console.ConsoleSettings), **values})
        )
        settings = load(payments.PaymentsSettings, {**environment_of(payments.PaymentsSettings), **values})
        self._payments = payments.build(settings)
        self.selling = ControlPlane(settings)
        self.reloads = own["RELOADS_QUEUE_URL"]
        self.billing = billing_services(self.plane.database, self.plane.outbox, self.plane.audit, enabled=True)

    def answer(self, event: dict[str, Any]) -> dict[str, Any]:
        own = (
            f"{self.base}/payments",
            *(f"/api/v1/workspaces/{self.workspace}/{part}" for part in ("invoices", "plan")),
        )
        paid = event["rawPath"].startswith(own)
        context: Any = type("Context", (), {"aws_request_id": "request"})
        return (self._payments if paid else self._console)(event, context)

    def rows(self, query: Any) -> list[Any]:
        with self.database.transaction() as connection:
            return list(connection.execute(query).mappings())

    def grant(self, dollars: int) -> str:
        assert self.billing is not None
        return self.billing.credits.grant(self.acting(self.owner), self.workspace, dollars * DOLLAR, "pilot", "k").id

    def outside(self, page: Page) -> str:
        """Return the link of a page that leads to Stripe."""
        return next(link for link in page.links if link.startswith(self.stand_in.server.url))

    def start(self, card: str = "pm_card_visa") -> Page:
        """Start a plan by the pages, and come back."""
        browser, action = self.browser(Role.BILLING), f"{self.base}/payments/plan/start"
        page = browser.submit(browser.open(f"{self.base}/payments/plan"), action)
        session = self.outside(page).rpartition("/")[2]
        self._complete(session, card)
        plan = self.rows(select(plans.c.id))[0]["id"]
        return browser.open(f"{self.base}/payments/plan?plan={plan}")

    def buy(self, card: str = "pm_card_visa") -> Page:
        """Buy credit of $20 by the pages, and come back."""
        browser, action = self.browser(Role.BILLING), f"{self.base}/payments/top-ups"
        page = browser.submit(browser.open(f"{self.base}/payments"), action, credit="20")
        session = self.outside(page).rpartition("/")[2]
        self._complete(session, card)
        top_up = self.rows(select(top_ups.c.id).order_by(top_ups.c.id.desc()))[0]["id"]
        return browser.open(f"{self.base}/payments?top_up={top_up}")

    def _complete(self, session: str, card: str) -> None:
        self.stand_in.control("checkout/complete", session=session, payment_method=card, details=self.address)


@pytest.fixture
def cashier(cloud: Cloud, database: Database, monkeypatch: pytest.MonkeyPatch, stripe_server: StripeStandIn) -> Cashier:
    return Cashier(cloud, database, monkeypatch, stripe_server)


def test_pages_of_money_are_in_the_menu_of_those_who_may_read_them(cashier: Cashier) -> None:
    for role in Role:
        page = cashier.browser(role).open(cashier.base)
        may = role in (Role.OWNER, Role.BILLING)
        for path in ("/billing", "/payments"):
            assert (cashier.base + path in page.links) == may
            assert cashier.browser(role).go(cashier.base + path).status_code == (200 if may else 403)


def test_both_functions_show_the_same_menu(cashier: Cashier) -> None:
    menus: list[list[str]] = []
    for path in ("/billing", "/payments"):
        _, _, shown = cashier.browser(Role.OWNER).go(cashier.base + path).text.partition('<nav class="sections"')
        menus.append(re.findall(r'<a href="([^"]*)"', shown.partition("</nav>")[0]))
    assert menus[0] == menus[1]
    assert len(menus[0]) > 5


def test_a_purchase_leads_to_stripe_and_back_and_is_booked_without_a_webhook(cashier: Cashier) -> None:
    """Case 17: the page that the payer comes back to books the payment itself."""
    page = cashier.buy()
    assert "$20.00 of credit is booked" in page.text
    assert "Visa ending in 4242" in page.text
    assert "$20.00" in cashier.browser(Role.BILLING).open(f"{cashier.base}/billing").text

    again = cashier.browser(Role.BILLING).open(page.path)
    assert "$20.00 of credit is booked" in again.text
    assert len(cashier.rows(select(top_ups))) == 1


def test_a_form_that_is_sent_twice_opens_one_checkout(cashier: Cashier) -> None:
    """Case 6, in the browser."""
    browser, action = cashier.browser(Role.BILLING), f"{cashier.base}/payments/top-ups"
    page = browser.open(f"{cashier.base}/payments")
    first, again = (browser.submit(page, action, credit="20") for _ in range(2))
    assert first.answer.text == again.answer.text
    assert len(cashier.rows(select(top_ups))) == 1


def test_a_pending_payment_is_said_before_another_one_is_made(cashier: Cashier) -> None:
    """Cases 18 and 19."""
    page = cashier.buy("pm_usBankAccount_success")
    assert "is on its way" in page.text
    assert "If you pay again, both are credited." in page.text


def test_a_purchase_leads_to_its_invoice(cashier: Cashier) -> None:
    page = cashier.buy()
    link = f"{cashier.base}/payments/invoices/INV-000001"
    assert link in page.links
    invoice = cashier.browser(Role.BILLING).open(link)
    assert "$20.00" in invoice.text
    assert "$21.23" in invoice.text
    assert cashier.browser(Role.MEMBER).go(link).status_code == 403


def test_an_invoice_is_downloaded_as_a_pdf_that_shows_what_the_page_shows(cashier: Cashier) -> None:
    cashier.buy()
    browser, link = cashier.browser(Role.BILLING), f"/api/v1/workspaces/{cashier.workspace}/invoices/INV-000001.pdf"
    page = browser.open(f"{cashier.base}/payments/invoices/INV-000001")
    assert link in page.links
    answer = browser.go(link)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.headers["content-disposition"] == 'attachment; filename="INV-000001.pdf"'
    reader = PdfReader(BytesIO(base64.b64decode(answer.text)))
    shown = " ".join(reader.pages[0].extract_text().split())
    lines = ("Prepaid credit for model calls $20.00", "Processing fee $1.23", "Total in USD $21.23")
    for words in ("Invoice INV-000001", "VAT ID: DE123456789", *lines):
        assert words in shown
        assert words in page.text
    for role in Role:
        may = role in (Role.OWNER, Role.BILLING)
        assert cashier.browser(role).go(link).status_code == (200 if may else 403)


def test_a_pdf_that_the_browser_has_is_not_sent_again_but_its_permission_is_checked(cashier: Cashier) -> None:
    cashier.buy()
    link = f"/api/v1/workspaces/{cashier.workspace}/invoices/INV-000001.pdf"
    first = cashier.browser(Role.BILLING).go(link)
    assert first.headers["cache-control"] == "private, no-cache"
    had = {"if-none-match": first.headers["etag"]}
    again = cashier.browser(Role.BILLING).go(link, headers=had)
    assert (again.status_code, again.text, again.headers["etag"]) == (304, "", first.headers["etag"])
    assert cashier.browser(Role.BILLING).go(link, headers={"if-none-match": '"other"'}).text == first.text
    assert cashier.browser(Role.MEMBER).go(link, headers=had).status_code == 403


@pytest.mark.parametrize("number", ["INV-000002", "INV-1", "CRN-000001", "x"])
def test_a_pdf_of_no_document_is_not_found(cashier: Cashier, number: str) -> None:
    cashier.buy()
    path = f"/api/v1/workspaces/{cashier.workspace}/invoices/{number}.pdf"
    assert cashier.browser(Role.OWNER).go(path).status_code == 404


def test_another_workspace_s_purchase_is_not_shown(cashier: Cashier) -> None:
    cashier.buy()
    page = cashier.browser(Role.BILLING).open(f"{cashier.base}/payments?top_up=top_other")
    assert page.status == 200
    assert "is booked" not in page.text


def test_a_refund_is_asked_for_by_a_form_that_keeps_what_was_typed(cashier: Cashier) -> None:
    page = cashier.buy()
    browser, action = cashier.browser(Role.BILLING), f"{cashier.base}/payments/refunds"
    refused = browser.submit(page, action, refund_amount="30", refund_reason="too much")
    assert refused.status == 422
    assert refused.forms[action].fields["refund_amount"] == "30"
    for nothing in ("0", "0.00"):
        assert "cannot be paid back" in browser.submit(refused, action, refund_amount=nothing).text
    asked = browser.submit(refused, action, refund_amount="7")
    assert "The operator of this deployment decides." in asked.text
    assert "asked for" in browser.open(f"{cashier.base}/payments").text
    (row,) = cashier.rows(select(payment_refunds))
    assert (row["state"], row["amount"], row["reason"]) == ("proposed", 7 * DOLLAR, "too much")


@pytest.mark.parametrize("credit", ["", "abc", "5", "20.001"])
def test_a_wrong_amount_is_refused_at_its_field(cashier: Cashier, credit: str) -> None:
    browser, action = cashier.browser(Role.BILLING), f"{cashier.base}/payments/top-ups"
    page = browser.submit(browser.open(f"{cashier.base}/payments"), action, credit=credit)
    assert page.status == 422
    assert page.forms[action].fields["credit"] == credit
    assert cashier.rows(select(top_ups)) == []


def test_reloads_are_set_by_a_form_that_keeps_what_was_typed(cashier: Cashier) -> None:
    cashier.buy()
    browser, action = cashier.browser(Role.BILLING), f"{cashier.base}/payments/auto-reload"
    page = browser.open(f"{cashier.base}/payments")
    refused = browser.submit(page, action, enabled="1", threshold="1", amount="25", month_cap="100")
    assert refused.status == 422
    assert refused.forms[action].fields["amount"] == "25"
    saved = browser.submit(refused, action, threshold="5")
    assert "Automatic reloads saved." in saved.text
    (row,) = cashier.rows(select(auto_reloads))
    assert (row["enabled"], row["threshold"], row["amount"]) == (True, 5 * DOLLAR, 25 * DOLLAR)
    assert (row["day_cap"], row["month_cap"], row["base_url"]) == (None, 100 * DOLLAR, "https://cloud.example")


def test_reloads_without_a_card_say_what_to_do_first(cashier: Cashier) -> None:
    browser, action = cashier.browser(Role.BILLING), f"{cashier.base}/payments/auto-reload"
    page = browser.submit(browser.open(f"{cashier.base}/payments"), action, enabled="1", threshold="5", amount="20")
    assert "Buy credit once" in page.text


def test_the_portal_is_reached_from_the_page(cashier: Cashier) -> None:
    page = cashier.buy()
    left = cashier.browser(Role.BILLING).submit(page, f"{cashier.base}/payments/portal")
    url = cashier.outside(left)
    assert left.answer.headers["refresh"] == f"0; url={url}"


def test_each_movement_leads_to_its_entries(cashier: Cashier) -> None:
    transaction_id = cashier.grant(5)
    browser = cashier.browser(Role.OWNER)
    page = browser.open(f"{cashier.base}/billing")
    link = f"{cashier.base}/billing/transactions/{transaction_id}"
    assert link in page.links
    found = browser.open(link)
    assert "Promotional credit" in found.text
    assert "$5.00" in found.text
    assert browser.open(f"{cashier.base}/billing/transactions/ltx_missing").status == 404


def test_credit_with_an_end_is_shown_with_its_end(cashier: Cashier) -> None:
    assert cashier.billing is not None
    actor, end = cashier.acting(cashier.owner), datetime(2099, 1, 31)  # noqa: DTZ001 - UTC without a zone
    cashier.billing.credits.grant(actor, cashier.workspace, 5 * DOLLAR, "trial", "k", end)
    page = cashier.browser(Role.OWNER).open(f"{cashier.base}/billing")
    assert "Promotional credit until" in page.text
    assert page.text.count("31 January 2099") == 2


def test_a_statement_of_an_open_month_is_not_there(cashier: Cashier) -> None:
    page = cashier.browser(Role.OWNER).open(f"{cashier.base}/billing/statements/2026-11")
    assert page.status == 404


class TestPlan:
    def test_a_plan_is_started_shown_canceled_and_resumed(self, cashier: Cashier) -> None:
        path = f"{cashier.base}/payments/plan"
        assert path in cashier.browser(Role.BILLING).open(f"{cashier.base}/payments").links
        page = cashier.start()
        assert "The plan is active." in page.text
        assert "Visa ending in 4242" in page.text
        assert "Next invoice" in page.text
        browser = cashier.browser(Role.BILLING)
        canceled = browser.submit(page, f"{path}/cancel")
        assert "The plan ends on" in canceled.text
        assert "Next invoice" not in canceled.text
        assert "The plan is active." in browser.submit(canceled, f"{path}/resume").text

    def test_a_start_that_failed_says_why_in_words(self, cashier: Cashier) -> None:
        cashier.start()
        failed = {"state": "ended", "live": None, "subscription_id": "", "reason": "insufficient_funds"}
        with cashier.database.transaction() as connection:
            connection.execute(update(plans).values(failed))
        page = cashier.browser(Role.OWNER).open(f"{cashier.base}/payments/plan")
        assert "The last start failed: the card has insufficient funds. Nothing was charged." in page.text

    def test_the_saved_card_starts_it_by_one_click(self, cashier: Cashier) -> None:
        cashier.buy()
        path, browser = f"{cashier.base}/payments/plan", cashier.browser(Role.OWNER)
        page = browser.submit(browser.open(path), f"{path}/start-by-card")
        assert "The plan is active." in page.text

    def test_an_unpaid_invoice_leads_to_its_page_at_stripe(self, cashier: Cashier) -> None:
        page = cashier.start()
        with cashier.database.transaction() as connection:
            connection.execute(update(plan_invoices).values(status="open"))
            connection.execute(update(plans).values(state="past_due"))
        page = cashier.browser(Role.BILLING).open(f"{cashier.base}/payments/plan")
        assert "is not paid" in page.text
        assert any("/pages/invoices/" in link for link in page.links)

    def test_only_owners_and_billing_managers_see_it(self, cashier: Cashier) -> None:
        for role in Role:
            may = role in (Role.OWNER, Role.BILLING)
            found = cashier.browser(role).go(f"{cashier.base}/payments/plan")
            assert found.status_code == (200 if may else 403)

    @pytest.mark.parametrize("topic", [Topic.MEMBER, Topic.ACCOUNT])
    def test_a_change_of_members_or_people_reaches_the_queue_of_a_workspace_with_a_plan(
        self, cashier: Cashier, cloud: Cloud, topic: Topic
    ) -> None:
        person = cashier.owner.account_id
        facts = {"workspace": cashier.workspace, "account": person} if topic is Topic.MEMBER else {}

        def change() -> list[Any]:
            with cashier.selling.outbox.unit() as unit:
                unit.emit(topic, cashier.acting(cashier.owner).id if facts else person, facts)
            return [json.loads(each["Body"]) for each in cloud.messages(cashier.reloads)]

        assert change() == []
        cashier.start()
        assert change() == [{"seats": cashier.workspace}]


@pytest.fixture
def taxed(cloud: Cloud, database: Database, monkeypatch: pytest.MonkeyPatch, stripe_server: StripeStandIn) -> Cashier:
    cashier = Cashier(cloud, database, monkeypatch, stripe_server, STRIPE_TAX="1")
    cashier.address = {"country": "DE"}
    return cashier


def test_tax_is_announced_and_shown_where_it_was_paid(taxed: Cashier) -> None:
    before = taxed.browser(Role.BILLING).open(f"{taxed.base}/payments")
    assert "Tax may be added on the payment page" in before.text

    page = taxed.buy()

    assert "$20.00 of credit is booked." in page.text
    assert "with $4.03 of tax" in page.text
    browser, link = taxed.browser(Role.BILLING), f"/api/v1/workspaces/{taxed.workspace}/invoices/INV-000001.pdf"
    invoice = browser.open(f"{taxed.base}/payments/invoices/INV-000001")
    file = PdfReader(BytesIO(base64.b64decode(browser.go(link).text)))
    for text in (invoice.text, " ".join(file.pages[0].extract_text().split())):
        assert "Tax $4.03 Total in USD $25.26" in text


def test_the_page_of_the_plan_shows_its_tax(taxed: Cashier) -> None:
    before = taxed.browser(Role.BILLING).open(f"{taxed.base}/payments/plan")
    assert "Tax may be added, by your address." in before.text

    page = taxed.start()

    assert "of tax" in page.text


def test_without_the_setting_no_page_speaks_of_tax(cashier: Cashier) -> None:
    cashier.buy()
    cashier.start()
    for path in ("/payments", "/payments/plan", "/payments/invoices/INV-000001"):
        page = cashier.browser(Role.BILLING).open(cashier.base + path)
        assert " tax" not in page.text.lower()
