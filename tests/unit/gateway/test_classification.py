"""An upstream's error is judged by its code and text, not by its status alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_cloud.gateway.formats import upstream_fault
from opencode_cloud.gateway.models import Failure
from opencode_cloud.gateway.service.classification import failure_of


def openai(message: str, code: str | None = None, kind: str = "invalid_request_error") -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}}


def google(status: str, message: str, reason: str = "") -> Any:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return {"error": {"code": 400, "message": message, "status": status, "details": details}}


QUOTA = "You exceeded your current quota, please check your plan and billing details."
ERRORS: list[tuple[int, Any, Failure]] = [
    # The account.
    (400, anthropic("invalid_request_error", "Your credit balance is too low to access the API."), Failure.ACCOUNT),
    (429, openai(QUOTA, "insufficient_quota", "insufficient_quota"), Failure.ACCOUNT),
    (403, openai(QUOTA, "insufficient_quota"), Failure.ACCOUNT),
    (402, {}, Failure.ACCOUNT),
    (402, openai("This request requires more credits, or fewer max_tokens."), Failure.ACCOUNT),
    (400, openai("Billing hard limit has been reached", "billing_hard_limit_reached"), Failure.ACCOUNT),
    (400, openai("Insufficient Balance"), Failure.ACCOUNT),
    (400, anthropic("invalid_request_error", "This organization has been disabled."), Failure.ACCOUNT),
    (400, google("FAILED_PRECONDITION", "User location is not supported for the API use."), Failure.ACCOUNT),
    (403, openai("Country, region, or territory not supported", "unsupported_country"), Failure.ACCOUNT),
    (429, openai("Your account is suspended", kind="exceeded_current_quota_error"), Failure.ACCOUNT),
    (400, openai("Access denied, your account must be in good standing.", "Arrearage"), Failure.ACCOUNT),
    (403, openai("The account has an overdue balance", "AccountOverdueError"), Failure.ACCOUNT),
    (400, {"message": "Operation not allowed"}, Failure.ACCOUNT),
    *[
        (400, body, Failure.ACCOUNT)
        for body in (
            anthropic("invalid_request_error", "You have reached your specified API usage limits."),
            anthropic("invalid_request_error", "The long context beta is not yet available for this subscription."),
            openai("Your organization must be verified to stream this model.", "unsupported_value"),
            openai("Your organization must be verified to generate reasoning summaries.", "unsupported_value"),
            openai("Organization has been restricted. Please reach out to support.", "organization_restricted"),
            openai("The project you are requesting has been archived and is no longer accessible"),
            {"message": "Your account is not authorized to invoke this API operation."},
            {"message": "Access to Anthropic models is not allowed from unsupported countries, regions."},
            {"message": "Model use case details have not been submitted for this account."},
        )
    ],
    *[
        (429, body, Failure.ACCOUNT)
        for body in (
            openai("Insufficient balance or no resource package. Please recharge.", "1113"),
            openai("\u4f59\u989d\u4e0d\u8db3\u6216\u65e0\u53ef\u7528\u8d44\u6e90\u5305", "1113"),
            {"error": "Your team has either used all available credits or reached its monthly spending limit."},
            google("RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Please go to AI Studio."),
            anthropic("rate_limit_error", "Extra usage is required for long context requests."),
        )
    ],
    # The key.
    (400, google("INVALID_ARGUMENT", "API key not valid.", "API_KEY_INVALID"), Failure.CREDENTIAL),
    (401, openai("Incorrect API key provided: sk-x", "invalid_api_key"), Failure.CREDENTIAL),
    (403, google("PERMISSION_DENIED", "Permission denied on resource project."), Failure.CREDENTIAL),
    (403, {"message": "The security token included in the request is invalid."}, Failure.CREDENTIAL),
    (400, anthropic("invalid_request_error", "This credential is only authorized for use with"), Failure.CREDENTIAL),
    # The upstream.
    (429, openai("Rate limit reached", "rate_limit_exceeded", "requests"), Failure.BUSY),
    (429, google("RESOURCE_EXHAUSTED", QUOTA), Failure.BUSY),
    (429, {"message": "Too many tokens, please wait before trying again."}, Failure.BUSY),
    (529, anthropic("overloaded_error", "Overloaded"), Failure.BUSY),
    (500, openai("The server is overloaded", "server_is_overloaded"), Failure.BUSY),
    (500, anthropic("api_error", "Internal server error"), Failure.BROKEN),
    (424, {}, Failure.BROKEN),
    (404, {}, Failure.UNKNOWN_MODEL),
    (400, openai("The model `x` does not exist", "model_not_found"), Failure.UNKNOWN_MODEL),
    (400, {"message": "The provided model identifier is invalid."}, Failure.UNKNOWN_MODEL),
    (400, openai("The model `x` has been decommissioned.", "model_decommissioned"), Failure.UNKNOWN_MODEL),
    (400, {"message": "invalid beta flag"}, Failure.UNKNOWN_FLAG),
    (400, {"message": "tools.0.custom.defer_loading: Extra inputs are not permitted"}, Failure.UNKNOWN_FLAG),
    (
        400,
        openai("The encrypted content gAA could not be verified.", "invalid_encrypted_content"),
        Failure.FOREIGN_THOUGHT,
    ),
    (400, openai("The encrypted content gAA could not be verified. Reason: x"), Failure.FOREIGN_THOUGHT),
    (
        400,
        anthropic("invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block"),
        Failure.FOREIGN_THOUGHT,
    ),
    *(
        (400, anthropic("invalid_request_error", text), Failure.FOREIGN_THOUGHT)
        for text in (
            "messages.369.content.0.thinking.signature: Field required",
            "messages.1.content.5: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be "
            "modified. These blocks must remain as they were in the original response.",
        )
    ),
    *(
        (400, google("INVALID_ARGUMENT", text), Failure.FOREIGN_THOUGHT)
        for text in (
            "Corrupted thought signature.",
            "Invalid thought signature.",
            "Unable to submit request because Thought signature is not valid.",
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work.",
            "Unable to submit request because function call `f` in the 2. block is missing a `thought_signature`.",
        )
    ),
    (
        400,
        anthropic("invalid_request_error", "Unexpected value for the `anthropic-beta` header."),
        Failure.UNKNOWN_FLAG,
    ),
    # The length of the prompt.
    (400, openai("m", "context_length_exceeded"), Failure.CONTEXT),
    (400, openai("This model's maximum context length is 128000 tokens."), Failure.CONTEXT),
    (400, openai("Your input exceeds the context window of this model."), Failure.CONTEXT),
    (400, anthropic("invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum"), Failure.CONTEXT),
    (
        400,
        anthropic("invalid_request_error", "input length and `max_tokens` exceed context limit: 190000 + 20000"),
        Failure.CONTEXT,
    ),
    (400, google("INVALID_ARGUMENT", "The input token count (11) exceeds the maximum."), Failure.CONTEXT),
    (400, {"message": "Input is too long for requested model."}, Failure.CONTEXT),
    # The request itself. Names of the client in a message mean nothing.
    (400, openai("Invalid schema for function 'get_billing': object schema missing properties."), Failure.REFUSED),
    (400, openai("Unknown parameter: 'insufficient_quota'."), Failure.REFUSED),
    (400, openai("Invalid schema for function 'buy_credits': array schema missing items."), Failure.REFUSED),
    (400, openai("Your request to 'verify_organization' is invalid."), Failure.REFUSED),
    (400, openai("Invalid 'user': string too long. Expected a string with maximum length 64."), Failure.REFUSED),
    (400, anthropic("invalid_request_error", "max_tokens: 100000 > 64000, the maximum"), Failure.REFUSED),
    (400, openai("Unsupported parameter: 'max_tokens' is not supported with this model."), Failure.REFUSED),
    (413, anthropic("request_too_large", "Request exceeds the maximum size"), Failure.REFUSED),
    (422, {"detail": "no"}, Failure.REFUSED),
    (403, {"error": {"code": 403, "message": "x requires moderation. Your input was flagged"}}, Failure.REFUSED),
    (400, openai("The response was filtered due to our content management policy.", "content_filter"), Failure.REFUSED),
    (400, openai("`temperature` is deprecated for this model."), Failure.REFUSED),
]


@pytest.mark.parametrize(("status", "body", "failure"), ERRORS)
def test_each_vendors_errors_are_told_apart(status: int, body: Any, failure: Failure) -> None:
    assert failure_of(upstream_fault(status, json.dumps(body).encode())) is failure
