"""Convert providers for clients 2.x. Without pydantic, because the function that serves clients imports this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opencode_cloud.contracts.access import EnforcedPolicy

Document = dict[str, Any]


def providers(config: Document, rules: EnforcedPolicy) -> Document:
    """Return the providers of ``config`` in the format of clients 2.x, without credentials."""
    disabled = set(config.get("disabled_providers", []))
    enabled = config.get("enabled_providers")
    return {
        provider: _provider(provider, entry, rules)
        for provider, entry in config.get("provider", {}).items()
        if provider not in disabled and (enabled is None or provider in enabled)
    }


def _provider(provider: str, entry: Document, rules: EnforcedPolicy) -> Document:
    options: Document = dict(entry.get("options", {}))
    headers: Any = options.pop("headers", None)
    for credential in ("apiKey", "authToken", "accessToken"):
        options.pop(credential, None)
    if "api" in entry:
        options.setdefault("baseURL", entry["api"])
    models = {
        name: _model(model, disabled=not rules.permits_model(provider, name) or name in entry.get("blacklist", []))
        for name, model in entry.get("models", {}).items()
    }
    result: Document = {"name": entry.get("name"), "package": entry.get("npm"), "settings": options}
    if isinstance(headers, dict):
        result["headers"] = headers
    return _without_absent({**result, "models": models})


def _model(model: Document, *, disabled: bool) -> Document:
    capabilities = None
    if "tool_call" in model or "modalities" in model:
        modalities = model.get("modalities", {})
        capabilities = {
            "tools": model.get("tool_call", False),
            "input": modalities.get("input", []),
            "output": modalities.get("output", []),
        }
    result = {
        "modelID": model.get("id"),
        "name": model.get("name"),
        "family": model.get("family"),
        "package": model.get("provider", {}).get("npm"),
        "settings": model.get("options"),
        "headers": model.get("headers"),
        "capabilities": capabilities,
        "cost": _costs(model["cost"]) if "cost" in model else None,
        "limit": model.get("limit"),
        "disabled": True if disabled or model.get("status") == "deprecated" else None,
    }
    return _without_absent(result)


def _costs(cost: Document) -> list[Document]:
    """Return prices as a list of tiers, the base tier first."""
    tiers = [_prices(cost)]
    if "context_over_200k" in cost:
        tiers.append({"tier": {"type": "context", "size": 200_000}, **_prices(cost["context_over_200k"])})
    return tiers


def _prices(cost: Document) -> Document:
    cache = _without_absent({"read": cost.get("cache_read"), "write": cost.get("cache_write")})
    return _without_absent({"input": cost["input"], "output": cost["output"], "cache": cache})


def _without_absent(document: Document) -> Document:
    return {key: value for key, value in document.items() if value is not None and value != {}}
