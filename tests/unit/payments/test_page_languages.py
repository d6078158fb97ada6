"""The pages of billing and payments in Chinese, in each state. Documents, mails and the API stay in English."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader
from sqlalchemy import select, update

from local.stripe import StripeStandIn
from opencode_cloud.billing.models.documents import (
    BalanceForecast,
    ChargedCall,
    EndingCredit,
    LateUsage,
    MoneyMovement,
    MovementDetail,
    MovementEntry,
    PrepaidBalance,
    Statement,
    StatementTotal,
    UsageOfStatement,
)
from opencode_cloud.billing.models.transactions import KIND_NAMES, LedgerTransaction, TransactionKind
from opencode_cloud.billing.service.reading import BillingReader
from opencode_cloud.console import billing
from opencode_cloud.console.decline_words import why
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.ids import LedgerTransactionId, PaymentId, WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.languages import CHINESE, PageLanguage, speaking
from opencode_cloud.kit.sql import Database
from opencode_cloud.payments.models import ReloadState, TopUpState
from opencode_cloud.payments.models.documents import DocumentKind, sale_document
from opencode_cloud.payments.models.refunds import PAID_TWICE, RefundState
from opencode_cloud.payments.service.reload_ends import WORDS, in_words
from opencode_cloud.payments.store.documents import SaleDocumentStore
from opencode_cloud.schema.payments import auto_reloads, payment_refunds, plan_invoices, plans, top_ups
from tests.foreign_words import english_in
from tests.unit.aws import Cloud
from tests.unit.billing.books import DOLLAR
from tests.unit.console.office import InProcessBrowser
from tests.unit.payments.test_pages import Cashier

AT = datetime(2026, 11, 30, 23, 59)  # noqa: DTZ001 - UTC without a zone
VALUES = ("Acme", "Example Software GmbH", "VAT ID", "claude-sonnet")
"""Texts of people and programs on the pages."""


class ChineseCashier(Cashier):
    """A deployment whose people read Chinese."""

    def browser(self, who: Role | Actor | None) -> InProcessBrowser:
        browser = super().browser(who)
        browser.accepts = "zh-CN"
        return browser

    def read(self, path: str, *values: str) -> str:
        """Open a page below the workspace's path. Return its text, which has no English word but for ``values``."""
        page = self.browser(Role.BILLING).open(self.base + path)
        assert page.status == 200, page.text
        assert english_in(page.answer.text, *VALUES, *values) == []
        return page.text

    def refuse(self, page: str, form: str, **fields: str) -> str:
        """Send a form that is refused; return the text of the page, which has no English word."""
        browser, action = self.browser(Role.BILLING), f"{self.base}{form}"
        shown = browser.submit(browser.open(self.base + page), action, **fields)
        assert shown.status in (404, 409, 422), shown.text
        assert english_in(shown.answer.text, *VALUES) == []
        return shown.text

    def put(self, query: Any, **values: Any) -> None:
        with self.database.transaction() as connection:
            connection.execute(query.values(values) if values else query)

    def issue_credit_note(self) -> None:
        """Write a credit note without a seller, as the function `payments` does."""
        note = sale_document(
            DocumentKind.CREDIT_NOTE,
            7,
            AT,
            seller=[],
            buyer=["Acme"],
            currency="USD",
            credit=700,
            fee=43,
            tax=141,
            paid_at=AT,
            payment_id=PaymentId("pi_1"),
            corrects="INV-000001",
        )
        with self.database.transaction() as connection:
            SaleDocumentStore().add(connection, WorkspaceId(self.workspace), "re_1", 7, note)


@pytest.fixture
def cashier(
    cloud: Cloud, database: Database, monkeypatch: pytest.MonkeyPatch, stripe_server: StripeStandIn
) -> ChineseCashier:
    return ChineseCashier(cloud, database, monkeypatch, stripe_server)


@pytest.fixture
def taxed(
    cloud: Cloud, database: Database, monkeypatch: pytest.MonkeyPatch, stripe_server: StripeStandIn
) -> ChineseCashier:
    cashier = ChineseCashier(cloud, database, monkeypatch, stripe_server, STRIPE_TAX="1")
    cashier.address = {"country": "DE"}
    return cashier


def movement(kind: str, **changes: Any) -> dict[str, Any]:
    members = {"amount": DOLLAR, "frozen": DOLLAR, "cause": "payment:pi_1", "corrects": "ltx_1", "period": "2026-11"}
    times = {"event_at": AT, "booked_at": AT, "ends_at": AT}
    return {"id": LedgerTransactionId("ltx_2"), "kind": kind, **members, **times, **changes}


class TestBilling:
    def test_a_new_balance(self, cashier: ChineseCashier) -> None:
        text = cashier.read("/billing")
        assert "上周没有用量。" in text
        assert "还没有入账记录。" in text
        assert "充值" in text

    def test_a_balance_with_debts_ends_and_movements(
        self, cashier: ChineseCashier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cashier.grant(5)
        ends = [EndingCredit(ends_at=AT, amount=DOLLAR)]
        balance = PrepaidBalance(currency="USD", available=-DOLLAR, paid=0, promo=0, frozen=DOLLAR, ends=ends)
        monkeypatch.setattr(BillingReader, "balance", lambda *_: balance)
        monkeypatch.setattr(BillingReader, "forecast", lambda *_: BalanceForecast(a_day=DOLLAR, days=1))

        def shown(_row: LedgerTransaction) -> MoneyMovement:
            return MoneyMovement(**movement(TransactionKind.PLAN_PAYMENT))

        monkeypatch.setattr(billing, "movement_of", shown)
        text = cashier.read("/billing")
        assert "余额可用 1 天。" in text
        assert "用银行卡支付套餐" in text

    def test_a_coupon_is_refused(self, cashier: ChineseCashier) -> None:
        assert "没有使用此代码的有效优惠券。" in cashier.refuse("/billing", "/billing/coupons", code="NONE")

    def test_a_statement_of_every_kind_of_transaction(
        self, cashier: ChineseCashier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        totals = [StatementTotal(kind=kind, amount=DOLLAR, transactions=n) for n, kind in enumerate(KIND_NAMES, 1)]
        usage = [
            UsageOfStatement(model=model, key_id="key_1", calls=1234, amount=DOLLAR, cents=100)
            for model in ("claude-sonnet", "")
        ]
        statement = Statement(
            workspace_id=WorkspaceId(cashier.workspace),
            period="2026-11",
            currency="USD",
            opening=0,
            closing=DOLLAR,
            frozen=DOLLAR,
            totals=totals,
            usage=usage,
            late_usage=[LateUsage(period="2026-10", amount=DOLLAR)],
            usage_cents=200,
            movements=[MoneyMovement(**movement(kind)) for kind in KIND_NAMES],
        )
        monkeypatch.setattr(BillingReader, "statement", lambda *_: statement)
        text = cashier.read("/billing/statements/2026-11")
        assert "2026-11 对账单" in text
        assert "1,234 次调用" in text
        empty = statement.model_copy(update={"totals": [], "usage": [], "late_usage": [], "movements": []})
        monkeypatch.setattr(BillingReader, "statement", lambda *_: empty)
        assert "没有入账记录。" in cashier.read("/billing/statements/2026-11")

    @pytest.mark.parametrize("kind", [*KIND_NAMES])
    def test_a_transaction_and_its_calls(
        self, cashier: ChineseCashier, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        entries = [MovementEntry(account="wrk_1/promo/USD", amount=DOLLAR, layer="pending", balance_after=0)]
        found = MovementDetail(**movement(kind), seq=1, hash="ab" * 32, entries=entries)
        monkeypatch.setattr(BillingReader, "movement", lambda *_: found)
        calls = [ChargedCall(event_id=f"evt_{n:03}", at=AT, amount=1) for n in range(200)]
        monkeypatch.setattr(BillingReader, "calls", lambda *_: calls)
        text = cashier.read("/billing/transactions/ltx_2")
        assert "更多调用" in text
        assert "待入账" in text

    @pytest.mark.parametrize("path", ["/billing/statements/2026-11", "/billing/transactions/ltx_missing"])
    def test_what_is_not_there(self, cashier: ChineseCashier, path: str) -> None:
        page = cashier.browser(Role.BILLING).open(cashier.base + path)
        assert page.status == 404
        assert english_in(page.answer.text, *VALUES) == []


class TestPayments:
    def test_nothing_is_bought_yet(self, cashier: ChineseCashier) -> None:
        text = cashier.read("/payments")
        assert "还没有购买记录。" in text
        assert "$20.00 收取 $1.23。" in text

    @pytest.mark.parametrize(
        ("card", "words"),
        [("pm_card_visa", "$20.00 额度已入账。"), ("pm_usBankAccount_success", "$20.00 的付款正在处理中。")],
    )
    def test_a_payer_comes_back(self, cashier: ChineseCashier, card: str, words: str) -> None:
        page = cashier.buy(card)
        assert words in page.text
        assert english_in(page.answer.text, *VALUES, "Us") == []

    @pytest.mark.parametrize("tax", [0, DOLLAR])
    @pytest.mark.parametrize("fee", [0, DOLLAR])
    @pytest.mark.parametrize("state", [TopUpState.PAID, TopUpState.FAILED, TopUpState.EXPIRED])
    def test_purchases_in_each_state(self, cashier: ChineseCashier, state: TopUpState, fee: int, tax: int) -> None:
        cashier.buy()
        values = {"state": state, "kind": "reload", "reason": "card_declined", "fee": fee, "tax": tax}
        cashier.put(update(top_ups), **values)
        [bought] = cashier.rows(select(top_ups.c.id))
        text = cashier.read(f"/payments?top_up={bought['id']}")
        assert ("手续费 $1.00" in text, "含税 $1.00" in text) == (bool(fee), bool(tax))

    def test_a_payment_that_is_not_finished(self, cashier: ChineseCashier) -> None:
        browser = cashier.browser(Role.BILLING)
        path = f"{cashier.base}/payments"
        left = browser.submit(browser.open(path), f"{path}/top-ups", credit="20")
        assert english_in(left.answer.text, *VALUES) == []
        [begun] = cashier.rows(select(top_ups.c.id))
        assert "$20.00 的付款尚未完成" in cashier.read(f"/payments?top_up={begun['id']}")

    @pytest.mark.parametrize("reason", [*WORDS, "do_not_honor"])
    def test_reloads_in_each_state_and_for_each_reason(self, cashier: ChineseCashier, reason: str) -> None:
        cashier.buy()
        browser, path = cashier.browser(Role.BILLING), f"{cashier.base}/payments"
        form = f"{path}/auto-reload"
        saved = browser.submit(browser.open(path), form, enabled="1", threshold="5", amount="20", month_cap="100")
        assert english_in(saved.answer.text, *VALUES) == []
        for state in ReloadState:
            for next_at in (AT, None) if state is ReloadState.STOPPED else (AT,):
                cashier.put(update(auto_reloads), state=state, reason=reason, next_at=next_at)
                text = cashier.read("/payments")
                with speaking(PageLanguage(CHINESE)):
                    assert (why(reason) in text) == (state is not ReloadState.IDLE)

    @pytest.mark.parametrize("reason", ["退错了", PAID_TWICE])
    def test_refunds_in_each_state(self, cashier: ChineseCashier, reason: str) -> None:
        page = cashier.buy()
        browser, form = cashier.browser(Role.BILLING), f"{cashier.base}/payments/refunds"
        asked = browser.submit(page, form, refund_amount="7", refund_reason=reason)
        assert "由此部署的运维人员决定。" in asked.text
        for state in RefundState:
            cashier.put(update(payment_refunds), state=state)
            assert ("套餐被重复付款" in cashier.read("/payments")) == (reason == PAID_TWICE)

    def test_a_reason_of_a_person_is_not_translated(self, cashier: ChineseCashier) -> None:
        page = cashier.buy()
        browser, form = cashier.browser(Role.BILLING), f"{cashier.base}/payments/refunds"
        assert "· Refund" in browser.submit(page, form, refund_amount="7", refund_reason="Refund").text

    def test_taxes(self, taxed: ChineseCashier) -> None:
        assert "付款页面可能会按您的地址加收税款。" in taxed.read("/payments")
        assert english_in(taxed.buy().answer.text, *VALUES) == []
        assert "税款 $4.03 合计" in taxed.read("/payments/invoices/INV-000001", "DE")
        assert english_in(taxed.start().answer.text, *VALUES) == []

    @pytest.mark.parametrize(
        ("changed", "words"),
        [({"STRIPE_SECRET": ""}, "此部署不收款。"), ({"STRIPE_API_URL": "http://127.0.0.1:9"}, "Stripe 没有响应。")],
    )
    def test_a_deployment_without_stripe(
        self,
        cloud: Cloud,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        stripe_server: StripeStandIn,
        changed: dict[str, str],
        words: str,
    ) -> None:
        cashier = ChineseCashier(cloud, database, monkeypatch, stripe_server, **changed)
        monkeypatch.setattr("opencode_cloud.payments.service.reload_settings.ReloadSettings._customer", lambda *_: "c")
        assert words in cashier.read("/payments")
        assert words[:6] in cashier.read("/payments/plan")


class TestDocuments:
    def test_an_invoice_and_a_credit_note(self, cashier: ChineseCashier) -> None:
        cashier.buy()
        invoice = cashier.read("/payments/invoices/INV-000001")
        for words in ("账单 INV-000001", "模型调用的预付额度", "手续费", "本单据即为收据。"):
            assert words in invoice
        cashier.issue_credit_note()
        note = cashier.read("/payments/invoices/CRN-000007")
        for words in ("贷项通知单 CRN-000007", "更正 INV-000001", "此部署的运营方", "退款于"):
            assert words in note

    def test_what_companies_and_programs_read_is_english(self, cashier: ChineseCashier) -> None:
        """The page that books a purchase issues its invoice, in the language of no reader."""
        cashier.buy()
        browser, path = cashier.browser(Role.BILLING), f"/api/v1/workspaces/{cashier.workspace}/invoices/INV-000001"
        document = json.loads(browser.go(path).text)
        assert [line["text"] for line in document["lines"]] == ["Prepaid credit for model calls", "Processing fee"]
        file = PdfReader(BytesIO(base64.b64decode(browser.go(f"{path}.pdf").text)))
        assert "Prepaid credit for model calls $20.00" in " ".join(file.pages[0].extract_text().split())

    @pytest.mark.parametrize("reason", [*WORDS, "do_not_honor"])
    def test_mails_and_webhooks_give_a_reason_in_english(self, reason: str) -> None:
        with speaking(PageLanguage(CHINESE)):
            assert in_words(reason).isascii()
            assert not why(reason).isascii()
        assert in_words(reason) == why(reason)
        assert in_words("") == why("") == ""


class TestPlan:
    def test_a_plan_in_each_state(self, cashier: ChineseCashier) -> None:
        cashier.read("/payments/plan")
        assert english_in(cashier.start().answer.text, *VALUES) == []
        browser, path = cashier.browser(Role.BILLING), f"{cashier.base}/payments/plan"
        canceled = browser.submit(browser.open(path), f"{path}/cancel")
        assert english_in(canceled.answer.text, *VALUES) == []
        for status in ("open", "void", "uncollectible"):
            cashier.put(update(plan_invoices), status=status)
            cashier.read("/payments/plan")

    @pytest.mark.parametrize("reason", [*WORDS, "do_not_honor"])
    def test_a_start_that_failed(self, cashier: ChineseCashier, reason: str) -> None:
        cashier.start()
        cashier.put(update(plans), state="ended", live=None, subscription_id="", reason=reason)
        with speaking(PageLanguage(CHINESE)):
            assert f"{why(reason)}。没有扣款。" in cashier.read("/payments/plan")


class TestRefusedForms:
    """An error says its values in the reader's sentence."""

    @pytest.mark.parametrize(
        ("form", "fields", "words"),
        [
            ("top-ups", {"credit": "much"}, "请填写金额"),
            ("top-ups", {"credit": "5"}, "介于 $10.00 和 $10,000.00 之间"),
            ("auto-reload", {"threshold": "1", "amount": "20"}, "阈值须介于 $5.00 和 $10,000.00 之间"),
            ("auto-reload", {"threshold": "5", "amount": "1"}, "金额须介于 $10.00 和 $10,000.00 之间"),
            ("auto-reload", {"threshold": "5", "amount": "20.001"}, "金额须精确到美分"),
            ("auto-reload", {"threshold": "5", "amount": "20", "day_cap": "1"}, "上限不得低于充值金额"),
            ("auto-reload", {"threshold": "x", "amount": "20"}, "当余额低于"),
            ("auto-reload", {"threshold": "5", "amount": "20", "enabled": "1"}, "没有已保存的银行卡"),
        ],
    )
    def test_a_form_before_the_first_payment(
        self, cashier: ChineseCashier, form: str, fields: dict[str, str], words: str
    ) -> None:
        assert words in cashier.refuse("/payments", f"/payments/{form}", **fields)

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"refund_amount": "0", "refund_reason": "r"}, "金额须为正数"),
            ({"refund_amount": "30", "refund_reason": "r"}, "的退款和争议合计将超过该付款"),
            ({"refund_amount": "x", "refund_reason": "r"}, "请填写金额"),
            ({"payment": "pi_other", "refund_reason": "r"}, "没有已入账的付款 pi_other。"),
        ],
    )
    def test_a_refund(self, cashier: ChineseCashier, fields: dict[str, str], words: str) -> None:
        cashier.buy()
        assert words in cashier.refuse("/payments", "/payments/refunds", **fields)
