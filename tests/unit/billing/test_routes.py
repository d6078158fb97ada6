"""Money over HTTP: a workspace's owners and billing managers trace each cent to a call."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any

import pytest

from opencode_cloud.billing.routes import BillingRoutes
from opencode_cloud.billing.service import closing, drafts
from opencode_cloud.billing.service.closing import MonthClose
from opencode_cloud.billing.service.coupons import Coupons
from opencode_cloud.billing.service.reading import BillingReader
from opencode_cloud.billing.store.closing import ClosingStore
from opencode_cloud.billing.store.coupons import CouponStore
from opencode_cloud.billing.store.reading import LedgerReader
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import PaymentId, WorkspaceId
from tests.unit.billing.books import AT, CENT, DOLLAR, Books
from tests.unit.billing.test_payments import TWENTY
from tests.unit.usage.events import OTHER
from tests.unit.workspaces.calls import Api
from tests.unit.workspaces.team import Place

OPERATOR = Actor(kind=ActorKind.OPERATOR, name="ann", role="owner")


class Office:
    """A workspace with people of three roles, a payment and some calls."""

    def __init__(self, place: Place, *, enabled: bool = True) -> None:
        self.api, self.books = Api(place), Books(place)
        reader = LedgerReader(place.database, self.books.store)
        self.closing = ClosingStore()
        books = self.books
        self.coupons = Coupons(books.booking, CouponStore(), books.audit, enabled=enabled)
        reading = BillingReader(place.database, reader, self.closing, enabled=enabled)
        BillingRoutes(reading, self.coupons, self.api.access).mount(self.api.app)
        owner = place.person("ann@example.com")
        self.workspace: WorkspaceId = place.founded(owner).id
        ann = place.member(owner, self.workspace)
        self.bearers = {"owner": self.api.knows(owner)}
        for role in ("billing", "admin", "member"):
            self.bearers[role] = self.api.knows(place.joined(ann, f"{role}@example.com", role))

    def get(self, path: str, role: str = "owner", **query: str) -> Any:
        return self.api(self.bearers[role], f"GET /api/v1/workspaces/{self.workspace}/billing/{path}", query=query)

    def spend(self) -> None:
        self.books.book(drafts.top_up(self.workspace, PaymentId("pi_1"), TWENTY, AT))
        self.books.take(*(self.books.use(number, CENT, self.workspace) for number in range(3)))


@pytest.fixture
def office(place: Place) -> Office:
    return Office(place)


def test_a_cent_is_traced_from_the_balance_to_the_call(office: Office) -> None:
    office.spend()
    balance = office.get("balance").body
    assert (balance["available"], balance["paid"], balance["frozen"]) == (20 * DOLLAR - 3 * CENT,) * 2 + (0,)
    listed = office.get("transactions").body["data"]
    assert [(each["kind"], each["amount"]) for each in listed] == [("usage", -3 * CENT), ("top_up", 20 * DOLLAR)]
    detail = office.get(f"transactions/{listed[0]['id']}").body
    assert sum(each["amount"] for each in detail["entries"]) == 0
    calls: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = office.get(f"transactions/{listed[0]['id']}/calls", limit="2", **cursor).body
        calls += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sum(each["amount"] for each in calls) == -listed[0]["amount"]
    assert len(calls) == 3


def test_pages_of_transactions_follow_each_other(office: Office) -> None:
    office.spend()
    first = office.get("transactions", limit="1").body
    second = office.get("transactions", limit="1", cursor=first["next_cursor"]).body
    assert [first["data"][0]["kind"], second["data"][0]["kind"]] == ["usage", "top_up"]
    assert second["next_cursor"] is None


def test_statements_are_listed_and_read(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.spend()
    assert office.get("statements").body == {"data": []}
    assert office.get("statements/2026-11").body["code"] == "statement_not_found"
    monkeypatch.setattr(closing, "utc_now", lambda: datetime(2026, 12, 3))  # noqa: DTZ001
    MonthClose(office.books.database, office.books.store, office.closing).run()
    assert [each["period"] for each in office.get("statements").body["data"]] == ["2026-11"]
    statement = office.get("statements/2026-11").body
    assert statement["closing"] == office.get("balance").body["available"]
    assert statement["usage"][0]["cents"] == 3
    answer = office.get("statements/2026-11.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    names, *rows = csv.reader(io.StringIO(answer.body))
    amounts = {(row[1], row[2]): int(row[names.index("amount_microcents")]) for row in rows}
    assert amounts["balance", "closing"] == statement["closing"]
    assert sum(amount for (section, _), amount in amounts.items() if section == "kind") == statement["closing"]
    assert amounts["kind", "usage"] == -3 * CENT
    assert office.get("statements/2026-11.pdf").headers["content-type"] == "application/pdf"


def test_only_owners_and_billing_managers_see_money(office: Office) -> None:
    office.spend()
    answers = {role: office.get("balance", role).status for role in office.bearers}
    assert answers == {"owner": 200, "billing": 200, "admin": 403, "member": 403}


def test_a_coupon_is_redeemed_by_those_who_manage_money(office: Office) -> None:
    office.coupons.create(OPERATOR, "HELLO", 5 * DOLLAR, 10, None, "launch")

    def redeem(role: str) -> int:
        route = f"POST /api/v1/workspaces/{office.workspace}/billing/coupons"
        return office.api(office.bearers[role], route, {"code": "hello"}).status

    assert [redeem(role) for role in ("member", "admin", "billing", "owner")] == [403, 403, 201, 409]
    assert office.get("balance").body["promo"] == 5 * DOLLAR


def test_another_workspaces_transaction_is_not_found(office: Office) -> None:
    (foreign,) = office.books.book(drafts.grant(OTHER, DOLLAR, "g", AT))
    for path in (f"transactions/{foreign.id}", f"transactions/{foreign.id}/calls"):
        assert office.get(path).body["code"] == "transaction_not_found"


def test_a_new_workspace_has_a_balance_of_zero(office: Office) -> None:
    assert office.get("balance").body["available"] == 0


def test_a_deployment_without_billing_has_no_such_routes_for_anybody(place: Place) -> None:
    office = Office(place, enabled=False)
    for path in ("balance", "transactions", "transactions/ltx_1", "statements", "statements/2026-11"):
        answer = office.get(path)
        assert (answer.status, answer.body["code"]) == (404, "billing_off")
