"""Convert providers for clients 2.x. Without pydantic, because the function that serves clients imports this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opencode_cloud.contracts.access import EnforcedPolicy, EnforcedRules

Document = dict[str, Any]
TOOLS = (
    *("codesearch", "edit", "glob", "grep", "list", "lsp", "question", "read", "shell", "skill", "subagent"),
    *("todowrite", "webfetch", "websearch"),
)
"""The names of built-in tools in the permissions of clients 2.x."""
OTHER_PERMISSIONS = ("external_directory", "doom_loop")
"""Permissions that do not concern a single tool."""
ANY = "*"


def config_of(config: Document, rules: EnforcedPolicy) -> Document:
    """Return ``config`` in the format of clients 2.x: providers, and the policy that the gateway enforces.

    Search is not offered, so there is no member ``websearch``.
    """
    compiled: Document = {"providers": providers(config, rules)}
    statements = [*config.get("experimental", {}).get("policies", []), *_of_tools(rules.tools)]
    return {**compiled, "experimental": {"policies": statements}} if statements else compiled


def of_providers(rules: EnforcedRules) -> list[Document]:
    """Return statements about providers. The last matching statement wins."""
    allowed = [] if rules.allow is None else [("deny", ANY), *(("allow", pattern) for pattern in rules.allow)]
    denied = (("deny", pattern) for pattern in rules.deny)
    return [_statement("provider.use", effect, pattern) for effect, pattern in [*allowed, *denied]]


def _of_tools(rules: EnforcedRules) -> list[Document]:
    """Return statements about tools, as permissions of any use: ``webfetch:*``."""
    if rules.allow is None and not rules.deny:
        return []
    statements: list[tuple[str, str]] = []
    if rules.allow is not None:
        # An allow-list denies all else first, but for permissions that are no tools.
        allowed = [*rules.allow, *(name for name in TOOLS if rules.permit_tool(name)), *OTHER_PERMISSIONS]
        statements = [("deny", ANY), *(("allow", name) for name in dict.fromkeys(allowed))]
    denied = dict.fromkeys([*rules.deny, *(name for name in TOOLS if not rules.permit_tool(name))])
    statements += [("deny", name) for name in denied]
    return [_statement("permission", effect, f"{pattern}:*") for effect, pattern in statements]


def _statement(action: str, effect: str, resource: str) -> Document:
    return {"action": action, "effect": effect, "resource": resource}


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
