"""The client configuration of a workspace without our gateway's provider, which an earlier test may have published."""

from __future__ import annotations

from typing import Any

import httpx

PROVIDER = "opencode-cloud"
"""The provider id of the catalogues that tests publish."""


def own_config(answer: httpx.Response) -> dict[str, Any]:
    """Return the configuration in an answer of `/api/config`; empty when there is none."""
    if answer.status_code == 404:
        return {}
    config = answer.raise_for_status().json()["config"]
    if config.get("small_model", "").startswith(f"{PROVIDER}/"):
        del config["small_model"]
    providers = own_providers(config.pop("provider", {}))
    return {**config, "provider": providers} if providers else config


def own_providers(providers: dict[str, Any]) -> dict[str, Any]:
    """Return all of ``providers`` but ours."""
    return {name: entry for name, entry in providers.items() if name != PROVIDER}
