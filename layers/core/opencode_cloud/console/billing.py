"""The pages of the balance: a forecast, each movement down to the call, and the statements of closed months."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.billing.models.transactions import KIND_NAMES
from opencode_cloud.billing.service.reading import movement_of
from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.ids import LedgerTransactionId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.pages import see
from opencode_cloud.kit import money
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_cursor, decode_id, page_of

if TYPE_CHECKING:
    from opencode_cloud.billing.service.coupons import Coupons
    from opencode_cloud.billing.service.reading import BillingReader

CALLS = "/calls"
"""The path of the page that shows single calls, on consoles that have one."""
LATE = ".late"


class BillingPages:
    """Pages that read the ledger. They exist if the deployment keeps one."""

    PAGE: ClassVar[ConsolePage] = menu.BILLING

    def __init__(self, app: ConsoleApp, reader: BillingReader, coupons: Coupons) -> None:
        self._app = app
        self._reader = reader
        self._coupons = coupons

    def mount(self) -> None:
        """Add every page."""
        routes = self._app.add(self.PAGE, self.show)
        get = routes.get
        routes.post("/billing/coupons", self.redeem, Permission.BILLING_MANAGE, self.show)
        get("/billing/transactions/<transaction_id>", self.transaction, Permission.BILLING_READ)
        get("/billing/statements/<period>", self.statement, Permission.BILLING_READ)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../billing``: the balance, how long it lasts, movements with the newest first, and statements."""
        workspace_id, before = request.workspace.id, decode_cursor(request.query("cursor"), tuple[int])
        rows = self._reader.movements(workspace_id, before[0] if before else None, DEFAULT_LIMIT + 1)
        return self._app.page(
            request,
            balance=self._reader.balance(workspace_id),
            forecast=self._reader.forecast(workspace_id),
            movements=page_of(rows, DEFAULT_LIMIT, lambda row: (row.seq,), movement_of),
            statements=self._reader.statements(workspace_id),
            payments=self._has("/payments"),
            kinds=KIND_NAMES,
            shown=money.shown,
        )

    def redeem(self, request: PageRequest) -> Response[str]:
        """``POST .../billing/coupons``."""
        self._coupons.redeem(request.actor, request.workspace.id, request.form.one("code"))
        return see(f"{request.base}/billing?done=coupon")

    def transaction(self, request: PageRequest, transaction_id: LedgerTransactionId) -> Response[str]:
        """``GET .../billing/transactions/{transaction_id}``: its entries, and the calls that it charges."""
        workspace_id, after = request.workspace.id, decode_id(request.query("cursor"))
        found = self._reader.movement(workspace_id, transaction_id)
        rows = self._reader.calls(workspace_id, transaction_id, after, DEFAULT_LIMIT + 1)
        return self._app.page(
            request,
            "transaction.html",
            movement=found,
            calls=page_of(rows, DEFAULT_LIMIT, lambda row: (row.event_id,), lambda row: row),
            call_page=request.base + CALLS if self._has(CALLS) else "",
            call_id=lambda event_id: event_id.removesuffix(LATE),  # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType]
            kinds=KIND_NAMES,
            shown=money.shown,
        )

    def statement(self, request: PageRequest, period: str) -> Response[str]:
        """``GET .../billing/statements/{period}``: a closed month."""
        found = self._reader.statement(request.workspace.id, period)
        return self._app.page(request, "statement.html", statement=found, kinds=KIND_NAMES, shown=money.shown)

    def _has(self, path: str) -> bool:
        return any(page.path == path for page in self._app.menu)
