"""Models as the vendors' clients read them: OpenAI's and Anthropic's members side by side, or Google's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opencode_cloud.catalogue.models import Catalogue, Model, ModelKind
from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.kit.timestamps import rfc3339_of

MOST = 1000
"""Models of one page."""
_METHODS = {
    ModelKind.GENERATION: ["generateContent", "streamGenerateContent", "countTokens"],
    ModelKind.EMBEDDING: ["embedContent", "batchEmbedContents", "countTokens"],
}


def entry(catalogue: Catalogue, model: Model) -> dict[str, Any]:
    """Return one model for OpenAI's and Anthropic's clients."""
    return {
        "id": model.id,
        "object": "model",
        "type": "model",
        "created": model.prices[0].since,
        "created_at": rfc3339_of(model.prices[0].since),
        "owned_by": catalogue.provider,
        "display_name": model.name,
    }


def listed(catalogue: Catalogue, models: Sequence[Model], query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of ``models`` for OpenAI's and Anthropic's clients.

    ``query`` may have ``limit``, ``after_id`` and ``before_id``. Raises ``invalid_request`` (400) for a wrong limit.
    """
    left = [model for model in models if model.id > query.get("after_id", "")]
    if before := query.get("before_id"):
        left = [model for model in left if model.id < before]
    page = left[: _limit(query.get("limit", ""))]
    return {
        "object": "list",
        "data": [entry(catalogue, model) for model in page],
        "has_more": len(page) < len(left),
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def google_entry(model: Model) -> dict[str, Any]:
    """Return one model for Google's clients."""
    return {
        "name": f"models/{model.id}",
        "baseModelId": model.id,
        "version": model.prices[0].version,
        "displayName": model.name,
        "inputTokenLimit": model.limits.input or model.limits.context,
        "outputTokenLimit": model.limits.output,
        "supportedGenerationMethods": _METHODS[model.kind],
    }


def google_listed(models: Sequence[Model], query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of ``models`` for Google's clients; ``query`` may have ``pageSize`` and ``pageToken``.

    Raises ``invalid_request`` (400) for a wrong size.
    """
    left = [model for model in models if model.id > query.get("pageToken", "")]
    page = left[: _limit(query.get("pageSize", ""))]
    token = {"nextPageToken": page[-1].id} if page and len(page) < len(left) else {}
    return {"models": [google_entry(model) for model in page], **token}


def _limit(given: str) -> int:
    if not given:
        return MOST
    if not given.isdecimal() or not given.isascii() or not 0 < int(given[:9]) <= MOST:
        raise BadRequest("invalid_request", f"The limit of a page must be a whole number from 1 to {MOST}.")
    return int(given)
