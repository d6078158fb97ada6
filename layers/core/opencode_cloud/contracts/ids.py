"""Ids of entities. Each has its own type, so that the type checker finds swapped ids."""

from __future__ import annotations

from typing import NewType

AccountId = NewType("AccountId", str)
"""``acc_``: a person."""
BudgetId = NewType("BudgetId", str)
"""``bud_``: a budget."""
CallId = NewType("CallId", str)
"""``call_``: one model call."""
ClientSessionId = NewType("ClientSessionId", str)
"""``ses_``: a session of an opencode client."""
CommentId = NewType("CommentId", str)

ConnectionId = NewType("ConnectionId", str)
"""The id that API Gateway gives a WebSocket connection."""
CredentialId = NewType("CredentialId", str)
"""``prv_``: a credential for a model provider."""
DomainId = NewType("DomainId", str)
"""``dom_``: a domain of a workspace."""
ExportId = NewType("ExportId", str)
"""``exp_``: an export of usage."""
GroupId = NewType("GroupId", str)
"""``grp_``: a group of members."""
InvitationId = NewType("InvitationId", str)
"""``inv_``: an invitation to a workspace."""
KeyId = NewType("KeyId", str)
"""``key_``: an API key."""
LedgerAccountId = NewType("LedgerAccountId", str)
"""A path: workspace or ``house``, kind and currency, such as ``wrk_01K.../balance/USD``."""
LedgerTransactionId = NewType("LedgerTransactionId", str)
"""``ltx_``: a transaction of the ledger of money."""
MailId = NewType("MailId", str)
"""``mai_``: a mail."""
MemberId = NewType("MemberId", str)
"""``mem_``: a person in one workspace."""
PaymentId = NewType("PaymentId", str)
"""The id of a payment at its provider, such as a payment intent of Stripe."""
PlanId = NewType("PlanId", str)
"""``pln_``: a plan per seat of a workspace, from its start to its end."""
ServiceAccountId = NewType("ServiceAccountId", str)
"""``svc_``: a service account."""
SessionId = NewType("SessionId", str)
"""``sid_``: a login session of a browser or a device."""
ShareId = NewType("ShareId", str)
"""128 random bits in base64url: 22 characters."""
RefundOrderId = NewType("RefundOrderId", str)
"""``rfd_``: an order to pay a part of a payment back."""
SecondSubscriptionId = NewType("SecondSubscriptionId", str)
"""``sec_``: a second paid start of a plan, which is canceled and paid back."""
TopUpId = NewType("TopUpId", str)
"""``top_``: a purchase of credit."""
TransactionId = NewType("TransactionId", str)
"""``txn_``: a transaction of the outbox."""
WorkspaceId = NewType("WorkspaceId", str)
"""``wrk_``: a workspace."""
