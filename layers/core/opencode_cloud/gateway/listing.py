"""The list of models for the vendors' clients, with the members of OpenAI's and Anthropic's lists side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opencode_cloud.catalogue.models import Catalogue, Model
from opencode_cloud.kit.timestamps import rfc3339_of


def listed(catalogue: Catalogue, models: Sequence[Model]) -> dict[str, Any]:
    """Return the list of ``models``."""
    data = [
        {
            "id": model.id,
            "object": "model",
            "type": "model",
            "created": model.prices[0].since,
            "created_at": rfc3339_of(model.prices[0].since),
            "owned_by": catalogue.provider,
            "display_name": model.name,
        }
        for model in models
    ]
    return {
        "object": "list",
        "data": data,
        "has_more": False,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
