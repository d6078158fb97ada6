"""Keeps the time of MiniStack's IAM small.

As shipped, IAM takes a third of the time of a request to DynamoDB. It parses all policies of the caller twice: once to
judge the request, once only to name the caller. Here each document is parsed once, and the caller is named without its
policies.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

DOCUMENTS = 1024
"""Policies that are kept parsed. A changed policy is another document."""
NAMED = ("Root", "User", "AssumedRole", "FederatedUser")
"""The types of principals that MiniStack names by their own ARN."""


def install() -> None:
    """Hook into MiniStack's IAM."""
    evaluator: Any = import_module("ministack.core.iam_evaluator")
    parse: Callable[[Any], list[Any]] = evaluator.parse_policy_document

    @lru_cache(DOCUMENTS)
    def parse_once(document: str) -> tuple[Any, ...]:
        return tuple(parse(document))

    def parsed(document: Any) -> list[Any]:
        return list(parse_once(document)) if isinstance(document, str) else parse(document)

    evaluator.parse_policy_document = parsed
    evaluator.request_caller_arn = _caller_arn(evaluator)


def _caller_arn(evaluator: Any) -> Callable[..., str]:
    responses: Any = import_module("ministack.core.responses")
    router: Any = import_module("ministack.core.router")

    def caller_arn(headers: Mapping[str, str], query: Mapping[str, Any] | None = None) -> str:
        """Return the ARN of the caller, or that of the account's root where its key is not known."""
        account: str = responses.get_account_id()
        key: str = router.extract_access_key_id(headers or {}, query or {})
        if key:
            credential: Any = evaluator.resolve_credential(key, responses._account_from_sts_session(key) or account)
            if getattr(credential, "principal_type", "") in NAMED and credential.principal_arn:
                return credential.principal_arn
        return f"arn:aws:iam::{account}:root"

    return caller_arn
