"""`/api/v1/workspaces/{workspace}/usage/chargeback`: a month with a mark-up, for departments of a company."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import Field

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit import http_events, http_files, money
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.api_responses import document
from opencode_cloud.kit.http_app import response_of
from opencode_cloud.kit.money import CENT
from opencode_cloud.usage.models import Dimension
from opencode_cloud.usage.routes.sheet import TAG
from opencode_cloud.usage.service.chargeback import Chargeback, ChargebackReader
from opencode_cloud.usage.sheets import as_csv

COLUMNS = ("month", "group", "name", "calls", "cost_usd", "markup", "amount_usd")


class Department(StrEnum):
    """The attribute by which a company tells its departments apart."""

    PROJECT = "project"
    MEMBER = "member"
    SERVICE_ACCOUNT = "service_account"
    CALLER = "caller"
    KEY = "key"
    MODEL = "model"
    GROUP = "group"
    """The groups that a member is in now. Members who are in exactly the same groups have one line."""


Month = Annotated[str, Query(pattern=r"^20\d{2}-(0[1-9]|1[0-2])$", description="In UTC, such as `2026-11`.")]
GroupedBy = Annotated[Department, Query(description="The attribute to group by.")]
MarkUp = Annotated[str, Query(pattern=r"^\d{1,2}(\.\d{1,4})?$", description="The factor on the cost, such as `1.25`.")]


class ChargebackEntry(ApiModel):
    """The usage of one group."""

    group: str = Field(description="The id of a member or key, or a name; empty for calls without one.")
    name: str
    calls: int
    cost: int = Field(description="Without the mark-up, in micro-cents.")
    cents: int = Field(description="With the mark-up. The lines add up to the total.")


class ChargebackStatement(ApiModel):
    """A month with a mark-up."""

    month: str
    by: Department
    markup: str
    cents: int = Field(description="The total, rounded once, half up.")
    lines: list[ChargebackEntry]


class ChargebackRoutes:
    """Routes of chargebacks."""

    def __init__(self, reader: ChargebackReader, gate: Gate) -> None:
        self._reader = reader
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, path = self._gate.add, f"{WORKSPACE}/usage/chargeback"
        add(f"GET {path}", self.get, Permission.USAGE_READ, "Charge a month on", TAG)
        add(f"GET {path}.csv", self.sheet, Permission.USAGE_READ, "Charge a month on, as CSV", TAG)
        add(f"GET {path}.pdf", self.file, Permission.USAGE_READ, "Charge a month on, as PDF", TAG)

    def get(
        self, workspace_id: WorkspaceId, month: Month, by: GroupedBy = Department.PROJECT, markup: MarkUp = "1"
    ) -> Response[ChargebackStatement]:
        """Read the cost of a month with a mark-up, by project, member, group of members, key or model.

        By `group`, members who are in exactly the same groups now have one line, such as `Labs + Research`. The line
        with an empty `group` has people in no group, and service accounts.

        It has all calls that arrived in the month, also those of the workspace's own provider credentials.
        """
        found = self._read(workspace_id, month, by, markup)
        lines = [ChargebackEntry.model_validate(line) for line in found.lines]
        return document(ChargebackStatement(month=found.month, by=by, markup=markup, cents=found.cents, lines=lines))

    def sheet(
        self, workspace_id: WorkspaceId, month: Month, by: GroupedBy = Department.PROJECT, markup: MarkUp = "1"
    ) -> Response[str]:
        """Get the cost of a month with a mark-up as CSV."""
        found = self._read(workspace_id, month, by, markup)
        rows = [
            (
                month,
                line.group,
                line.name,
                line.calls,
                money.exact(line.cost, money.PLACES),
                markup,
                money.exact(line.cents * CENT),
            )
            for line in found.lines
        ]
        name = f"chargeback-{workspace_id}-{month}"
        headers = {**http_events.PRIVATE, "Content-Disposition": f'attachment; filename="{name}.csv"'}
        body = as_csv(COLUMNS, rows)
        return response_of(http_events.reply(self._gate.event, body, "text/csv; charset=utf-8", headers=headers))

    def file(
        self, workspace_id: WorkspaceId, month: Month, by: GroupedBy = Department.PROJECT, markup: MarkUp = "1"
    ) -> Response[str]:
        """Get the cost of a month with a mark-up as a PDF file."""
        found = self._read(workspace_id, month, by, markup)
        # Import here only, because the library takes longer to load than all others.
        from opencode_cloud.usage.chargeback_pdf import pdf_of

        body = pdf_of(found, workspace_id, markup, _first_day(month))
        name = f"chargeback-{workspace_id}-{month}"
        return response_of(http_files.pdf_reply(self._gate.event, body, name))

    def _read(self, workspace_id: WorkspaceId, month: str, by: Department, markup: str) -> Chargeback:
        dimension = None if by is Department.GROUP else Dimension(by)
        return self._reader.month(self._gate.actor, workspace_id, _first_day(month), dimension, Fraction(markup))


def _first_day(month: str) -> datetime:
    return datetime.fromisoformat(f"{month}-01")
