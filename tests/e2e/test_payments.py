"""Buy credit in a real browser, on a stage with billing, by the pages of the stand-in for Stripe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser
from pypdf import PdfReader

from local.stack import LocalStack
from local.stripe import DEVELOPMENT_KEY
from opencode_cloud.contracts.permissions import Role
from tests.integration.people import People, Person
from tests.stripe_stand_in import StandIn
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

GOOD, DECLINED, ASKS = "4242 4242 4242 4242", "4000 0000 0000 0002", "4000 0027 6000 3184"


@pytest.fixture(scope="module")
def selling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Run a stage of its own, because no other test's stage has a ledger."""
    with LocalStack(tmp_path_factory.mktemp("selling"), durability="process", stripe_port=0) as stack:
        yield stack


@dataclass
class Payer:
    """A person who pays for a workspace, and their browser."""

    stack: LocalStack
    person: Person
    workspace: str
    page: Any

    @property
    def base(self) -> str:
        return f"{self.stack.url}/console/{self.workspace}"

    @property
    def balance(self) -> int:
        found = self.person.http.get(f"/api/v1/workspaces/{self.workspace}/billing/balance")
        return found.json()["available"]

    def begin(self) -> None:
        """Go from the workspace's overview to the payment page, by clicking."""
        self.page.goto(self.base)
        self.page.get_by_role("navigation", name="Workspace").get_by_role("link", name="Billing").click()
        self.page.get_by_role("link", name="Add credit").click()
        self.page.get_by_label("Credit in US dollars").fill("20")
        self.page.get_by_role("button", name="Go to the payment page").click()
        self.page.wait_for_url(f"{self.stack.stripe.url}/**")

    def pay(self, number: str) -> None:
        self.page.get_by_label("Card number").fill(number)
        self.page.get_by_role("button", name="Pay").click()


@pytest.fixture
def payer(selling: LocalStack, browser: Browser) -> Payer:
    people = People(selling)
    owner = people.somebody()
    workspace = owner.found("Acme")
    person = people.joined(owner, workspace, Role.BILLING)
    context = browser.new_context()
    context.add_cookies([{"name": "opencode_session", "value": person.cookie, "url": selling.url}])
    return Payer(selling, person, workspace, context.new_page())


def test_the_first_payment_is_in_the_balance_and_has_an_invoice(payer: Payer) -> None:
    payer.begin()
    payer.pay(GOOD)
    payer.page.wait_for_url(f"{payer.base}/payments**")
    assert payer.page.get_by_text("$20.00 of credit is booked.").is_visible()
    assert payer.balance == 2_000_000_000

    payer.page.get_by_role("link", name="INV-").click()
    assert payer.page.get_by_text("Total in USD").is_visible()
    with payer.page.expect_download() as download:
        payer.page.get_by_role("link", name="Download PDF").click()
    assert payer.page.get_by_role("heading", name=download.value.suggested_filename.removesuffix(".pdf")).is_visible()
    assert "Total in USD $21.23" in " ".join(PdfReader(download.value.path()).pages[0].extract_text().split())
    payer.page.get_by_role("link", name="Billing").click()
    payer.page.get_by_role("link", name="Credit bought").click()
    assert payer.page.get_by_text("the entries add up to zero").is_visible()


def test_a_declined_card_can_be_tried_again_with_another_one(payer: Payer) -> None:
    payer.begin()
    payer.pay(DECLINED)
    assert payer.page.get_by_text("declined").is_visible()
    assert payer.balance == 0

    payer.pay(GOOD)
    payer.page.wait_for_url(f"{payer.base}/payments**")
    assert payer.page.get_by_text("$20.00 of credit is booked.").is_visible()
    assert payer.balance == 2_000_000_000


def test_a_bank_that_asks_for_its_customer_is_answered(payer: Payer) -> None:
    payer.begin()
    payer.pay(ASKS)
    payer.page.get_by_role("button", name="Complete authentication").click()
    payer.page.wait_for_url(f"{payer.base}/payments**")
    assert payer.page.get_by_text("$20.00 of credit is booked.").is_visible()


def test_reloads_are_switched_on_and_charge_when_credit_is_used(payer: Payer) -> None:
    payer.begin()
    payer.pay(GOOD)
    payer.page.wait_for_url(f"{payer.base}/payments**")
    payer.page.get_by_label("Charge the card when the balance is low").check()
    # The balance is below this threshold already, so the first reload begins at once.
    payer.page.get_by_label("When the balance is below").fill("25")
    payer.page.get_by_role("button", name="Save").click()
    assert payer.page.get_by_text("Automatic reloads saved.").is_visible()

    until(lambda: payer.balance == 4_000_000_000)
    payer.page.goto(f"{payer.base}/payments")
    assert payer.page.get_by_text("automatic", exact=True).is_visible()


def test_a_payer_changes_the_card_in_the_portal(payer: Payer) -> None:
    payer.begin()
    payer.pay(GOOD)
    payer.page.wait_for_url(f"{payer.base}/payments**")
    payer.page.get_by_role("button", name="Manage cards").click()
    payer.page.wait_for_url(f"{payer.stack.stripe.url}/**")
    payer.page.get_by_label("Card number").fill("5555 5555 5555 4444")
    payer.page.get_by_role("button", name="Add card").click()
    payer.page.goto(f"{payer.base}/payments")
    assert payer.page.get_by_text("Mastercard ending in 4444").is_visible()


def test_a_refund_reaches_the_books_by_the_webhook(payer: Payer) -> None:
    payer.begin()
    payer.pay(GOOD)
    payer.page.wait_for_url(f"{payer.base}/payments**")
    found = payer.person.http.get(f"/api/v1/workspaces/{payer.workspace}/top-ups").json()["data"]
    client: Any = StandIn(payer.stack.stripe, DEVELOPMENT_KEY).client().v1
    client.refunds.create({"payment_intent": found[0]["payment_id"]})
    until(lambda: payer.balance == 0)
    payer.page.goto(f"{payer.base}/payments")
    assert payer.page.get_by_text("taken back").is_visible()
    assert payer.page.get_by_role("link", name="CRN-").is_visible()


def test_a_plan_is_started_by_a_payment_and_canceled_and_resumed_by_one_click(payer: Payer) -> None:
    payer.page.goto(f"{payer.base}/payments")
    payer.page.get_by_role("link", name="Plan and seats").click()
    payer.page.get_by_role("button", name="Go to the payment page").click()
    payer.page.wait_for_url(f"{payer.stack.stripe.url}/**")
    payer.pay(GOOD)
    payer.page.wait_for_url(f"{payer.base}/payments/plan**")
    assert payer.page.get_by_text("The plan is active.").is_visible()
    # One member may call models: the owner. The seat includes credit of $5.00.
    assert payer.balance == 500_000_000
    payer.page.get_by_role("button", name="Cancel the plan").click()
    assert payer.page.get_by_text("The plan ends on").is_visible()
    payer.page.get_by_role("button", name="Resume the plan").click()
    assert payer.page.get_by_text("The plan is active.").is_visible()


def test_a_stage_that_is_started_again_goes_on_selling(payer: Payer) -> None:
    payer.begin()
    payer.pay(GOOD)
    payer.page.wait_for_url(f"{payer.base}/payments**")
    # The stand-in keeps its objects in memory, so it knows no customer of before.
    payer.stack.restart()

    payer.begin()
    payer.pay(GOOD)
    payer.page.wait_for_url(f"{payer.base}/payments**")
    assert payer.page.get_by_text("$20.00 of credit is booked.").is_visible()
    assert payer.balance == 4_000_000_000
