"""Operators' commands for money, a part of ``functions/operate``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from opencode_cloud.billing.models.proposals import Proposal
from opencode_cloud.billing.models.transactions import LedgerTransaction
from opencode_cloud.contracts.ids import LedgerTransactionId, PaymentId, WorkspaceId
from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.kit.timestamps import rfc3339

if TYPE_CHECKING:
    from opencode_cloud.billing.service.credits import Credits
    from opencode_cloud.billing.services import BillingServices
    from opencode_cloud.contracts.actor import Actor

Action = Literal[
    "adjust",
    "approve",
    "assign",
    "coupon",
    "reverse",
    "close",
    "statement",
    "reconcile",
    "verify",
    "trial-balance",
    "checkpoint",
    "export",
]


class BillingCommand(msgspec.Struct, tag="billing"):
    """Change balances, close months, or check the books. The action decides which other members are needed."""

    action: Action
    workspace_id: WorkspaceId | None = None
    micro_cents: int = 0
    reason: Annotated[str, msgspec.Meta(max_length=255)] = ""
    key: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """The idempotency key of an adjustment, or the code of a coupon."""
    uses: int = 0
    """How many workspaces may redeem a coupon."""
    ends_at: datetime | None = None
    """When a coupon ends: naive UTC."""
    credit_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 0
    """Days from the redemption of a coupon until its credit ends; 0: it has no end."""
    transaction_id: LedgerTransactionId = LedgerTransactionId("")
    """The transaction to reverse, or that an adjustment corrects."""
    proposal_id: str = ""
    payment_id: PaymentId = PaymentId("")
    """The payment without an owner, to give to a workspace."""
    period: Annotated[str, msgspec.Meta(pattern=r"^(\d{4}-(0[1-9]|1[0-2]))?$")] = ""
    """A month, such as ``2026-11``."""
    days: Annotated[int, msgspec.Meta(ge=1, le=400)] = 2
    """Complete days to compare with usage."""
    after: int = 0
    """The number of the transaction after which an export continues."""


def execute_billing_command(command: BillingCommand, billing: BillingServices, actor: Actor) -> Any:
    """Execute a command; return its result for the operator. Raises ``invalid_command`` (400) and errors of rules."""
    match command.action:
        case "adjust" | "approve" | "assign" | "reverse":
            return _change(command, billing.credits, actor)
        case "coupon":
            _require(command, "key", "micro_cents", "uses", "reason")
            made = billing.coupons.create(
                actor,
                command.key,
                command.micro_cents,
                command.uses,
                command.ends_at,
                command.reason,
                command.credit_days,
            )
            return {"code": made.code, "uses": made.uses, "most_uses": made.most_uses}
        case "close":
            _require(command, "period")
            billing.closing.close(command.period)
            return {"closed": command.period, "statements": billing.closing.write_statements(command.period)}
        case "statement":
            _require(command, "workspace_id", "period")
            return billing.reader.statement(command.workspace_id or WorkspaceId(""), command.period).model_dump(
                mode="json"
            )
        case "reconcile":
            return [msgspec.to_builtins(each) for each in billing.reconciliation.findings(command.days)]
        case "verify":
            return [msgspec.to_builtins(each) for each in billing.reconciliation.verify()]
        case "trial-balance":
            return [line.model_dump(mode="json") for line in billing.ledger.trial_balance()]
        case "checkpoint":
            return {"checkpoints": billing.checkpoints.make()}
        case "export":
            return billing.export.page(command.after)


def _change(command: BillingCommand, ledger_credits: Credits, actor: Actor) -> dict[str, Any]:
    """Execute a command that books something."""
    match command.action:
        case "adjust":
            _require(command, "workspace_id", "micro_cents", "reason", "key")
            workspace_id = command.workspace_id or WorkspaceId("")
            booked = ledger_credits.adjust(
                actor, workspace_id, command.micro_cents, command.reason, command.key, command.transaction_id
            )
            return show_proposal(booked) if isinstance(booked, Proposal) else show_transaction(booked)
        case "approve":
            _require(command, "proposal_id")
            return show_transaction(ledger_credits.approve(actor, command.proposal_id))
        case "assign":
            _require(command, "payment_id", "workspace_id", "reason")
            workspace_id = command.workspace_id or WorkspaceId("")
            return show_transaction(ledger_credits.assign(actor, command.payment_id, workspace_id, command.reason))
        case _:
            _require(command, "transaction_id", "reason")
            return show_transaction(ledger_credits.reverse(actor, command.transaction_id, command.reason))


def _require(command: BillingCommand, *names: str) -> None:
    if missing := [name for name in names if not getattr(command, name)]:
        raise BadRequest("invalid_command", f"Give {', '.join(missing)} for {command.action}.")


def show_transaction(transaction: LedgerTransaction) -> dict[str, Any]:
    """Return a transaction for operators."""
    return {
        "id": transaction.id,
        "seq": transaction.seq,
        "kind": transaction.kind,
        "period": transaction.period,
        "corrects": transaction.corrects or None,
        "booked_at": rfc3339(transaction.booked_at),
    }


def show_proposal(proposal: Proposal) -> dict[str, Any]:
    """Return an adjustment that needs a second operator."""
    return {
        "proposal": proposal.id,
        "micro_cents": proposal.amount,
        "state": "waits for another operator: billing approve",
    }
