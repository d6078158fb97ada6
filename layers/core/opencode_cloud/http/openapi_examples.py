"""Examples of bodies and answers in the document of the API, made from the schemas and one table of values.

Only the build of the document uses this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

Schema = Mapping[str, Any]

ULID = "01KAQ5V3M8Z9T4E2W7X6C1R0NB"
AT = "2026-11-23T09:00:00Z"
LATER = "2027-02-21T09:00:00Z"
MODEL = "anthropic/claude-sonnet-4-5"
LINK = "https://opencode.example.com"
MAIL = "ada@example.com"
TRACE = "0af7651916cd43dd8448eb211c80319c"
SESSION = "ses_4f2a9c1b7d3eA1b2C3d4E5f6G7"
SHARE = "dthNJk_H1gCIGFslIY8oAQ"
DOLLAR = 100_000_000
"""Micro-cents."""


class NoExample(Exception):
    """A field has no value in the table. The message names it."""


VALUES: Mapping[str, Any] = {
    "above": 200_000,
    "available": 20 * DOLLAR,
    "balance_after": 20 * DOLLAR,
    "bytes": 120_034,
    "cache_read_tokens": 91_000,
    "catalogue": 12,
    "closing": 20 * DOLLAR,
    "context": 200_000,
    "credited": 0,
    "count": 1,
    "day_cap": None,
    "days": 9,
    "events": 4210,
    "first_byte_ms": 820,
    "lost_cost": 1_200_000,
    "lost_tokens": 4000,
    "max_lifetime_seconds": 2_592_000,
    "mean_first_byte_ms": 820,
    "mean_total_ms": 5200,
    "metadata_days": 30,
    "month_cap": None,
    "opening": 0,
    "paid": 20 * DOLLAR,
    "prompt_tokens": 95_000,
    "reasoning": 120,
    "remaining": 63 * DOLLAR,
    "tokens": 4000,
    "total": 3,
    "total_cents": 2118,
    "transactions": 128,
    "usage_cents": 412,
    "views": 12,
    "account": "balance",
    "account_id": f"acc_{ULID}",
    "action": "key.created",
    "add": f"mem_{ULID}",
    "added_by": MAIL,
    "address": "203.0.113.9",
    "agent": "claude-code",
    "aliases": "claude-sonnet-4-5",
    "allow": "anthropic/*",
    "allowed_secrets": "aws-access-token/3f2a9c1b",
    "amount": 20 * DOLLAR,
    "a_day": 3 * DOLLAR,
    "attempts": 1,
    "audit_retention_days": 400,
    "base_url": f"{LINK}/zen/v1",
    "before": {},
    "after": {"name": "laptop"},
    "budget_id": f"bud_{ULID}",
    "budget_percent": 90,
    "buyer": "Acme GmbH",
    "cache_read": 4096,
    "cache_write": 512,
    "cache_write_1h": 0,
    "call_id": f"call_{ULID}",
    "caller": f"mem_{ULID}",
    "calls": 128,
    "cause": f"call_{ULID}",
    "cents": 412,
    "changed_by": MAIL,
    "charged": 4_200_000,
    "checkout_url": "https://checkout.stripe.com/c/pay/cs_live_a1",
    "code": "WELCOME10",
    "comment": "Allow one more model",
    "config": {"share": "manual"},
    "configuration": {"share": "manual"},
    "correlation_id": TRACE,
    "corrects": None,
    "cost": 4_200_000,
    "created_by": MAIL,
    "credential": "session",
    "credit": 20 * DOLLAR,
    "currency": "USD",
    "default_model": MODEL,
    "deny": "openai/gpt-4o",
    "delivery_reason": "",
    "detail": "There is no key with this id.",
    "domain": "example.com",
    "due": 60 * DOLLAR,
    "effect": "A command that a client runs when it starts.",
    "email": MAIL,
    "error": "",
    "event_id": f"call_{ULID}",
    "fallback": "",
    "family": "claude",
    "fee": 118_000_000,
    "field": "name",
    "fingerprint": "3f2a9c1b",
    "format": "messages",
    "frozen": 0,
    "granted_by": "operator@example.com",
    "group": MODEL,
    "group_id": f"grp_{ULID}",
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "holder": "Ada",
    "id": f"key_{ULID}",
    "input": 1200,
    "invited_by": "grace@example.com",
    "item": "part/msg_1/prt_2",
    "key": f"key_{ULID}",
    "key_id": f"key_{ULID}",
    "kind": "member",
    "kinds": 3,
    "layer": "posted",
    "limit": 100 * DOLLAR,
    "made_by_key_id": None,
    "markup": "0.1",
    "member": "Ada",
    "member_id": f"mem_{ULID}",
    "message": "The name is too long.",
    "message_id": "msg_1",
    "metadata": "203.0.113.9",
    "missing": "AAAAAAAAAAAAAAAAAAAAAA",
    "mode": "workspace",
    "model": MODEL,
    "models": MODEL,
    "models_url": f"{LINK}/api.json",
    "month": "2026-11",
    "name": "laptop",
    "networks": "203.0.113.0/24",
    "next_cursor": None,
    "number": "2026-000042",
    "outcome": "completed",
    "output": 350,
    "overlap_seconds": 86_400,
    "owner": "Ada",
    "part_id": "prt_2",
    "password": "correct horse battery staple",
    "path": "mcp.files.command",
    "pattern": "ACME-[0-9]{8}",
    "payment_id": "pi_3QaBcD",
    "period": "2026-11",
    "prefix": "oc_sk_",
    "price": "2026-10-01",
    "project": "checkout",
    "project_budgets": 2,
    "project_headers": "x-acme-project",
    "provider": "anthropic",
    "reason": "",
    "record_name": "_opencode.example.com",
    "record_value": f"opencode-verification={ULID}",
    "remove": f"mem_{ULID}",
    "replaced_by": None,
    "replaces": f"bud_{ULID}",
    "request": "msg_1",
    "requested_model": "",
    "reserved": 0,
    "revoked": SHARE,
    "role": "member",
    "scheduled": None,
    "secret": "oc_sk_0000000000000000000000000000000000000000000",
    "saved_card": False,
    "seats": 3,
    "seats_needed": 3,
    "seat_credit": 5 * DOLLAR,
    "seat_price": 20 * DOLLAR,
    "seller": "Example Inc., 1 Main Street, Springfield",
    "seq": 1042,
    "service_account": "",
    "service_account_id": "",
    "service_tiers": None,
    "session": "ses_4c2607e1f0d3Qm",
    "session_budget": 5 * DOLLAR,
    "shares": SHARE,
    "since": "2026-10-01",
    "small_model": "anthropic/claude-haiku-4-5",
    "spent": 37 * DOLLAR,
    "status": 200,
    "subject": "Ada",
    "subject_id": f"mem_{ULID}",
    "suffix": "a1b2",
    "text": "Credit",
    "threshold": 80,
    "title": "Fix the build",
    "to": "anthropic/claude-haiku-4-5",
    "top_up_id": f"top_{ULID}",
    "total_ms": 5200,
    "type": "/api/docs/problems#key_not_found",
    "updated_by": MAIL,
    "upstream": "anthropic",
    "upstream_model": "claude-sonnet-4-5-20250929",
    "url": f"{LINK}/share/{SHARE}",
    "used": 80 * DOLLAR,
    "value": ["npx", "files"],
    "version": 3,
    "workspace_id": f"wrk_{ULID}",
    "workspace_name": "Acme",
}
"""Values by the name of a field, or by model and field. A list has one item with the field's value."""

VALUES_OF_MODELS: Mapping[str, Any] = {
    "Budget.period": "month",
    "Budget.scope": "member",
    "MissedCache.cause": "expired",
    "ModelLimit.group": "Research",
    "ModelLimit.source": "group",
    "ModelLimits.input": None,
    "NewGroup.models": {"allow": ["anthropic/*"], "deny": []},
    "NewGroup.name": "Research",
    "ModelLimits.output": 64_000,
    "NewBudget.period": "month",
    "NewKey.service_account_id": None,
    "Key.service_account_id": None,
    "LateUsage.amount": 4_200_000,
    "ChargedCall.amount": 4_200_000,
    "Policy.models": {"allow": None, "deny": ["openai/gpt-4o"]},
    "Policy.providers": {"allow": ["anthropic", "openai"], "deny": []},
    "Policy.tools": {"allow": None, "deny": ["webfetch"]},
    "PolicyChange.policy": {"models": {"deny": ["openai/gpt-4o"]}},
    "SecretsView.kinds": {"aws-access-token": 3},
    "SharePolicy.mode": "workspace",
    "UsageOfStatement.amount": 412_000_000,
    "Alert.id": f"alr_{ULID}",
    "Alert.name": "Ada, month",
    "AuditActor.id": f"mem_{ULID}",
    "AuditActor.key": None,
    "AuditActor.name": MAIL,
    "AuditEntry.id": f"aud_{ULID}",
    "AuditTarget.kind": "key",
    "AuthorizationServer.authorization_endpoint": f"{LINK}/auth/authorize",
    "AuthorizationServer.code_challenge_methods_supported": "S256",
    "AuthorizationServer.device_authorization_endpoint": f"{LINK}/auth/device/code",
    "AuthorizationServer.grant_types_supported": "refresh_token",
    "AuthorizationServer.issuer": LINK,
    "AuthorizationServer.jwks_uri": f"{LINK}/.well-known/jwks.json",
    "AuthorizationServer.revocation_endpoint": f"{LINK}/auth/revoke",
    "AuthorizationServer.token_endpoint": f"{LINK}/auth/token",
    "AutoReloadTerms.threshold": 5 * DOLLAR,
    "AutoReloadView.threshold": 5 * DOLLAR,
    "BalanceGrant.id": f"grn_{ULID}",
    "BalanceGrant.reason": "Pilot project",
    "Budget.id": f"bud_{ULID}",
    "Call.id": f"call_{ULID}",
    "Call.key": "laptop",
    "Call.price": "2026-10-01",
    "ChargebackEntry.group": "checkout",
    "ChargebackEntry.name": "checkout",
    "CommentedLines.change": 1,
    "CommentedLines.file": "src/app.py",
    "CommentedLines.first": 40,
    "CommentedLines.last": 41,
    "CommentedLines.length": 23,
    "CommentedLines.outdated": False,
    "CommentedLines.quote": "    return result\n# end",
    "CommentedLines.side": "new",
    "CredentialReplacement.base_url": None,
    "CredentialReplacement.secret": "sk-ant-000000000000",
    "DeviceCode.device_code": "MEhDQndKM0pKMnZ0c2pjU3lVbGZ1c0Z6dEZ1Wk8",
    "DeviceCode.expires_in": 600,
    "DeviceCode.interval": 5,
    "DeviceCode.user_code": "BCDF-GHJK",
    "DeviceCode.verification_uri": f"{LINK}/device",
    "DeviceCode.verification_uri_complete": f"{LINK}/device?user_code=BCDF-GHJK",
    "DeviceCodeRequest.client_id": "opencode-cli",
    "Difference.after": ["anthropic/*", "openai/*"],
    "Difference.before": ["anthropic/*"],
    "Difference.path": "models.allow",
    "Domain.id": f"dom_{ULID}",
    "EmbeddedLink.type": "link",
    "EmbeddedLink.version": "1.0",
    "EffectiveLimit.group": "Research",
    "EffectiveLimit.name": "the monthly budget of ada@example.com in group Research",
    "EffectiveLimit.period": "month",
    "EffectiveLimit.scope": "each_in_group",
    "ExportDetail.id": f"exp_{ULID}",
    "ExportView.id": f"exp_{ULID}",
    "ExportedFile.name": "usage-2026-11-22.csv",
    "ExportedFile.url": "https://exports.example.com/usage-2026-11-22.csv",
    "GoogleModel.displayName": "Gemini 3 Pro",
    "GoogleModel.inputTokenLimit": 1_000_000,
    "GoogleModel.name": "models/gemini-3-pro",
    "GoogleModels.nextPageToken": "gemini-3-pro",
    "MemberGroup.id": f"grp_{ULID}",
    "MemberGroup.members": 12,
    "MemberGroup.models": {"allow": ["anthropic/*"], "deny": []},
    "MemberGroup.name": "Research",
    "GroupChange.models": {"allow": ["anthropic/*"], "deny": []},
    "GroupChange.name": "Research",
    "GroupMember.id": f"mem_{ULID}",
    "GroupMember.name": "Ada",
    "GroupedUsage.name": "Claude Sonnet 4.5",
    "Invitation.id": f"inv_{ULID}",
    "Member.id": f"mem_{ULID}",
    "Member.name": "Ada",
    "Membership.id": f"wrk_{ULID}",
    "Membership.name": "Acme",
    "ModelPrice.cache_read": "0.30",
    "ModelPrice.cache_write": "3.75",
    "ModelPrice.cache_write_1h": "6.00",
    "ModelPrice.input_audio": None,
    "ModelPrice.cache_read_audio": None,
    "ModelPrice.output_audio": None,
    "ModelPrice.input": "3.00",
    "ModelPrice.output": "15.00",
    "ModelPrice.version": "2026-10-01",
    "ModelTier.above": 200_000,
    "ModelTier.cache_read": "0.60",
    "ModelTier.cache_write": "7.50",
    "ModelTier.cache_write_1h": "12.00",
    "ModelTier.input_audio": None,
    "ModelTier.cache_read_audio": None,
    "ModelTier.output_audio": None,
    "ModelTier.input": "6.00",
    "ModelTier.output": "22.50",
    "Models.provider": "opencode-cloud",
    "MoneyMovement.id": f"ltx_{ULID}",
    "MoneyMovement.kind": "top_up",
    "MovementDetail.id": f"ltx_{ULID}",
    "MovementDetail.kind": "top_up",
    "NewCredential.base_url": None,
    "NewCredential.name": "production",
    "NewCredential.secret": "sk-ant-000000000000",
    "NewRefund.reason": "bought twice",
    "NewServiceAccount.name": "ci",
    "NewShare.sessionID": SESSION,
    "NewWebhook.secret": "whsec_MDAwMDAwMDAwMDAwMDAwMDAwMDA=",
    "PlanInvoiceView.id": "in_1QaBcD",
    "PlanInvoiceView.number": "8E1F2A3B-0001",
    "PlanInvoiceView.status": "paid",
    "PlanInvoiceView.url": "https://invoice.stripe.com/i/acct_1/live_a1",
    "NewWebhook.url": "https://hooks.example.com/opencode",
    "NewWorkspace.name": "Acme",
    "OfferedModel.created": 1_790_000_000,
    "OfferedModel.created_at": AT,
    "OfferedModel.display_name": "Claude Sonnet 5",
    "OfferedModel.id": "claude-sonnet-5",
    "OfferedModel.object": "model",
    "OfferedModel.owned_by": "opencode-cloud",
    "OfferedModel.type": "model",
    "OfferedModels.object": "list",
    "OpenedTopUp.id": f"top_{ULID}",
    "OrganizationName.id": f"wrk_{ULID}",
    "OrganizationName.name": "Acme",
    "OwnInvitation.id": f"inv_{ULID}",
    "PaymentPage.url": "https://checkout.stripe.com/c/pay/cs_live_a1",
    "Portal.url": "https://billing.stripe.com/p/session/live_a1",
    "Problem.code": "key_not_found",
    "Problem.status": 404,
    "Problem.title": "Not Found",
    "ProviderCredential.base_url": None,
    "ProviderCredential.id": f"prv_{ULID}",
    "ProviderCredential.name": "production",
    "PublishedItem.data": {"id": "msg_x", "role": "user", "time": {"created": 1_795_423_108_123}},
    "PublishedItem.type": "message",
    "RefundOrderView.code": "",
    "RefundOrderView.id": f"rfd_{ULID}",
    "RefundOrderView.reason": "bought twice",
    "SearchMatch.anchor": "p-msg_x/prt_y",
    "SearchMatch.snippet": "text around the words",
    "SearchMatches.next": "",
    "SecretPattern.name": "acme-ticket",
    "SecretView.field": "text",
    "SecretView.kind": "aws-access-token",
    "ServiceAccount.id": f"svc_{ULID}",
    "ServiceAccount.name": "ci",
    "ServiceAccountChange.name": "ci",
    "ServiceHealth.status": "ok",
    "ServiceHealth.version": "0.3.0",
    "ServiceTierPrice.cache_read": "0.15",
    "ServiceTierPrice.cache_write": "1.88",
    "ServiceTierPrice.cache_write_1h": "3.00",
    "ServiceTierPrice.input_audio": None,
    "ServiceTierPrice.cache_read_audio": None,
    "ServiceTierPrice.output_audio": None,
    "ServiceTierPrice.input": "1.50",
    "ServiceTierPrice.output": "7.50",
    "ServiceTierPrice.version": "2026-10-01",
    "ShareComment.created_at": 1_795_423_108_123,
    "ShareComment.id": f"com_{ULID}",
    "ShareCredentials.id": SHARE,
    "ShareCredentials.secret": "shs_dthNJk_H1gCIGFslIY8oAQ000000000000000000000000000000000000000000",
    "ShareMetadata.share": SHARE,
    "ShareMetadata.workspace": f"wrk_{ULID}",
    "ShareTicket.expires_in": 600,
    "ShareTicket.ticket": "dGlja2V0IG9mIGEgc2hhcmU",
    "ShareView.id": SHARE,
    "SignedInPerson.id": f"acc_{ULID}",
    "StatementTotal.kind": "usage",
    "TokenAnswer.access_token": "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl",
    "TokenAnswer.expires_in": 2_592_000,
    "TokenAnswer.org_id": f"wrk_{ULID}",
    "TokenAnswer.refresh_token": "cmVmcmVzaCB0b2tlbg",
    "TokenAnswer.token_type": "Bearer",
    "TokenRevocation.client_id": "opencode-cli",
    "TokenRevocation.token": "cmVmcmVzaCB0b2tlbg",
    "TopUpView.id": f"top_{ULID}",
    "UsableModel.id": MODEL,
    "UsableModel.name": "Claude Sonnet 4.5",
    "UsageOfStatement.cents": 412,
    "UsagePoint.name": "Claude Sonnet 4.5",
    "WantedLines.change": 1,
    "WantedLines.file": "src/app.py",
    "WantedLines.first": 40,
    "WantedLines.last": 41,
    "WantedLines.quote": "    return result\n# end",
    "WantedLines.side": "new",
    "Webhook.url": "https://hooks.example.com/opencode",
    "WebhookSetting.url": "https://hooks.example.com/opencode",
    "Workspace.id": f"wrk_{ULID}",
    "Workspace.name": "Acme",
    "WorkspaceChange.name": "Acme",
}

TIMES: Mapping[str, str | None] = {
    "expires_at": LATER,
    "resets_at": "2026-12-01T00:00:00Z",
    "window_start": "2026-11-01T00:00:00Z",
    "start": "2026-11-22T00:00:00Z",
    "from": "2026-11-01T00:00:00Z",
    "to": "2026-12-01T00:00:00Z",
    "blocked_at": None,
    "deleted_at": None,
    "disabled_at": None,
    "purge_after": None,
    "revoked_at": None,
    "webhook_at": None,
}
"""Times that differ from :data:`AT`, by the name of the field."""


def add_examples(document: dict[str, Any]) -> None:
    """Add an example to each JSON body and each successful JSON answer of ``document`` that has none.

    Raises :class:`NoExample` for a field without a value.
    """
    made = _Examples(document["components"]["schemas"])
    for item in document["paths"].values():
        for operation in item.values():
            for content in _contents(operation.get("requestBody", {})):
                content["example"] = made.value(content["schema"], whole=False)
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    for content in _contents(answer):
                        content["example"] = made.value(content["schema"])


def _contents(holder: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    found = holder.get("content", {}).get("application/json")
    if found and found.get("schema") and "example" not in found:
        yield found


class _Examples:
    """Makes values that fit schemas. ``whole`` answers have all fields, bodies only those that they need."""

    def __init__(self, models: Mapping[str, Schema]) -> None:
        self._models = models

    def value(self, schema: Schema, model: str = "", field: str = "", *, whole: bool = True) -> Any:
        """Return a value of ``schema``, which is that of a ``field`` of a ``model``."""
        listed = _listed(model, field)
        if isinstance(listed, dict):
            return cast("dict[str, Any]", listed)
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if "properties" in self._models[name]:
                return self._object(self._models[name], name, whole=whole)
            return self.value(self._models[name], model, field, whole=whole)
        if "anyOf" in schema:
            return self._either(schema["anyOf"], model, field, whole=whole)
        if schema.get("type") == "array":
            if listed is None or "items" not in schema:
                return []
            return [self.value(schema["items"], model, field, whole=whole)]
        return self._plain(schema, model, field, listed)

    def _object(self, schema: Schema, model: str, *, whole: bool) -> dict[str, Any]:
        properties, required = schema["properties"], schema.get("required", [])
        # A body without a required field changes one thing.
        chosen = properties if whole else [name for name in properties if name in required] or [next(iter(properties))]
        return {name: self.value(properties[name], model, name, whole=whole) for name in chosen}

    def _either(self, choices: Sequence[Schema], model: str, field: str, *, whole: bool) -> Any:
        if any(choice.get("type") == "null" for choice in choices) and _listed(model, field) is None:
            return None
        first = next(choice for choice in choices if choice.get("type") != "null")
        return self.value(first, model, field, whole=whole)

    def _plain(self, schema: Schema, model: str, field: str, listed: Any) -> Any:
        if "enum" in schema:
            return listed if listed in schema["enum"] else schema["enum"][0]
        if schema.get("format") == "date-time":
            return TIMES.get(field, AT)
        match schema.get("type"):
            case "object":
                return {}
            case "boolean":
                return bool(schema.get("default", False))
            case "integer" | "number":
                return listed if isinstance(listed, int) else int(schema.get("minimum", 0))
            case _:
                if listed is _MISSING:
                    raise NoExample(f"{model}.{field} has no example: add it to http/openapi_examples.py")
                return listed


_MISSING: Any = object()


def _listed(model: str, field: str) -> Any:
    if field in TIMES and TIMES[field] is None:
        return None
    return VALUES_OF_MODELS.get(f"{model}.{field}", VALUES.get(field, _MISSING))
