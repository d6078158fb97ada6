"""From a policy and a configuration document to what clients are configured with.

The client is told as much of the policy as its configuration can say, so that people see what they may use. It is not
what holds: gateway and sharing enforce the policy themselves (``EnforcedPolicy`` in ``access``), and an edited
configuration changes nothing for them.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from opencode_cloud.access.models import WORKSPACE_HEADER, EnforcedPolicy, KnownConfiguration
from opencode_cloud.access.models import Rules as EnforcedRules
from opencode_cloud.policies.models import Policy, ShareMode

Document = dict[str, Any]

TOKEN = "{env:OPENCODE_CONSOLE_TOKEN}"  # noqa: S105 - a reference, which the client puts its token in place of
"""What a provider's ``apiKey`` refers to when it is our own gateway: no other server has use for our tokens."""

TOOLS = (
    *("bash", "codesearch", "edit", "glob", "grep", "list", "lsp", "question", "read", "skill", "task", "todowrite"),
    *("webfetch", "websearch"),
)
"""Tools that the client brings along, by the names that its permissions know them under."""
WILDCARDS = frozenset("*?")
# What the client itself grants; an allow-list begins with denying everything, so this has to be said again.
DEFAULT_PERMISSIONS: Mapping[str, Any] = {
    "read": {"*": "allow", "*.env": "ask", "*.env.*": "ask", "*.env.example": "allow"},
}
NO_TOOLS: Mapping[str, Any] = {"external_directory": "ask", "doom_loop": "ask"}
"""Permissions that are not about one tool."""


def enforced(policy: Policy, version: int) -> EnforcedPolicy:
    """Compile a policy for the planes that enforce it."""
    return EnforcedPolicy(
        version=version,
        providers=policy.providers.enforced(),
        models=policy.models.enforced(),
        tools=policy.tools.enforced(),
        share_mode=policy.share.mode,
        share_lifetime_seconds=policy.share.max_lifetime_seconds,
    )


def client_config(policy: Policy, document: Document, workspace: str) -> Document:
    """Lay a policy over a configuration document: where both say something, the policy counts."""
    config = copy.deepcopy(document)
    _name_workspace(config, workspace)
    if policy.default_model:
        config["model"] = policy.default_model
    if policy.small_model:
        config["small_model"] = policy.small_model
    if policy.share.mode is ShareMode.OFF:
        config["share"] = "disabled"
        config.pop("autoshare", None)
    _restrict_providers(config, policy)
    _restrict_models(config, policy)
    _restrict_tools(config, policy.tools.enforced())
    return config


def configuration(policy: Policy, document: Document, workspace: str) -> KnownConfiguration | None:
    """Compile the remote config of a workspace; None when there is nothing to say."""
    config = client_config(policy, document, workspace)
    if not config:
        return None
    first, second = msgspec.json.encode(config), msgspec.json.encode(second_generation(config, policy))
    etag = hashlib.sha256(first + b"\0" + second).hexdigest()[:32]
    return KnownConfiguration(etag=etag, config=msgspec.Raw(first), providers=msgspec.Raw(second))


def _name_workspace(config: Document, workspace: str) -> None:
    """Have the client name the workspace to our gateway: its token says who asks, and not for which workspace."""
    for provider in _providers(config).values():
        options = provider.get("options", {})
        if options.get("apiKey") == TOKEN and isinstance(options.setdefault("headers", {}), dict):
            options["headers"][WORKSPACE_HEADER] = workspace


def _providers(config: Document) -> dict[str, Document]:
    return config.get("provider", {})


def _restrict_providers(config: Document, policy: Policy) -> None:
    rules, models = policy.providers.enforced(), policy.models.enforced()
    if rules.allow is None and not rules.deny and models.allow is None:
        return
    named = {*_providers(config), *_exact(rules.allow), *config.get("enabled_providers", [])}
    only_models = {pattern.partition("/")[0] for pattern in models.allow or ()}
    named |= _exact(only_models)
    permitted = {name for name in named if rules.permit(name) and _has_models(models, name)}
    if _is_exact(rules.allow) or (models.allow is not None and _is_exact(only_models)):
        config["enabled_providers"] = sorted(permitted)
    elif "enabled_providers" in config:
        config["enabled_providers"] = [name for name in config["enabled_providers"] if name in permitted]
    denied = (named | _exact(rules.deny)) - permitted
    if denied:
        config["disabled_providers"] = sorted({*config.get("disabled_providers", []), *denied})
    config.setdefault("experimental", {})["policies"] = _statements(rules)


def _statements(rules: EnforcedRules) -> list[Document]:
    """Write the rules as the client's later core reads them: of all that match, the last counts."""
    allowed = [] if rules.allow is None else [("deny", "*"), *(("allow", pattern) for pattern in rules.allow)]
    return [
        {"action": "provider.use", "effect": effect, "resource": pattern}
        for effect, pattern in [*allowed, *(("deny", pattern) for pattern in rules.deny)]
    ]


def _has_models(models: EnforcedRules, provider: str) -> bool:
    """Tell whether any pattern could allow a model of ``provider``."""
    if models.allow is None:
        return True
    return any(
        EnforcedRules(allow=(pattern.partition("/")[0],)).permit(provider) if "/" in pattern else "*" in pattern
        for pattern in models.allow
    )


def _restrict_models(config: Document, policy: Policy) -> None:
    models = policy.models.enforced()
    if models.allow is None and not models.deny:
        return
    patterns = [*(models.allow or ()), *models.deny]
    named = {*_providers(config), *_exact({pattern.partition("/")[0] for pattern in patterns if "/" in pattern})}
    for provider in sorted(named):
        entry = config.setdefault("provider", {}).setdefault(provider, {})
        allowed = _models_of(models.allow, provider)
        if allowed is not None and "whitelist" in entry:
            allowed = [name for name in allowed if name in entry["whitelist"]]
        if allowed is not None:
            entry["whitelist"] = [name for name in allowed if models.permit(f"{provider}/{name}")]
        denied = {*(_models_of(models.deny, provider) or ())}
        denied |= {name for name in entry.get("models", {}) if not models.permit(f"{provider}/{name}")}
        if denied:
            entry["blacklist"] = sorted({*entry.get("blacklist", []), *denied})
        if not entry:
            del config["provider"][provider]
    if not config.get("provider", True):
        del config["provider"]


def _models_of(patterns: tuple[str, ...] | None, provider: str) -> list[str] | None:
    """Return the models of ``provider`` that ``patterns`` name; None when one names them by a wildcard.

    The client compares whole names only, and which models a provider has is in its catalogue, not here.
    """
    if patterns is None:
        return None
    of_provider = [p for p in patterns if EnforcedRules(allow=(p.partition("/")[0],)).permit(provider)]
    names = [pattern.partition("/")[2] for pattern in of_provider]
    return sorted(names) if all(name and not WILDCARDS & set(name) for name in names) else None


def _restrict_tools(config: Document, rules: EnforcedRules) -> None:
    if rules.allow is None and not rules.deny:
        return
    present = config.get("permission", {})
    own: Document = {"*": present} if isinstance(present, str) else dict(present)
    for tool, on in config.pop("tools", {}).items():
        own.setdefault("edit" if tool in ("write", "patch") else tool, "allow" if on else "deny")
    permission: Document = dict(own)
    if rules.allow is not None:
        # Later keys win with the client, so what the document grants is said after the denial of everything.
        permission = {"*": "deny", **NO_TOOLS, **{name: own[name] for name in NO_TOOLS if name in own}}
        for name in rules.allow:
            permission[name] = own.get(name, own.get("*", DEFAULT_PERMISSIONS.get(name, "allow")))
        permission |= {name: value for name, value in own.items() if name != "*" and rules.permit(name)}
    denied = [n for n in (*own, *TOOLS) if n not in NO_TOOLS and n != "*" and not rules.permit(n)]
    for name in (*denied, *rules.deny):
        # At the end, where nothing said before can grant it again.
        permission.pop(name, None)
        permission[name] = "deny"
    config["permission"] = permission


def _exact(patterns: Any) -> set[str]:
    return {pattern for pattern in patterns or () if not WILDCARDS & set(pattern)}


def _is_exact(patterns: Any) -> bool:
    return patterns is not None and len(_exact(patterns)) == len(patterns)


def second_generation(config: Document, policy: Policy) -> Document:
    """Return the providers of ``config`` as clients 2.x read them: credentials never travel in it."""
    disabled = set(config.get("disabled_providers", []))
    enabled = config.get("enabled_providers")
    rules = enforced(policy, 0)
    return {
        provider: _provider(provider, entry, rules)
        for provider, entry in _providers(config).items()
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
    found: Document = {"name": entry.get("name"), "package": entry.get("npm"), "settings": options}
    if isinstance(headers, dict):
        found["headers"] = headers
    return _without_absent({**found, "models": models})


def _model(model: Document, *, disabled: bool) -> Document:
    capabilities = None
    if "tool_call" in model or "modalities" in model:
        modalities = model.get("modalities", {})
        capabilities = {
            "tools": model.get("tool_call", False),
            "input": modalities.get("input", []),
            "output": modalities.get("output", []),
        }
    found = {
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
    return _without_absent(found)


def _costs(cost: Document) -> list[Document]:
    """Write prices as a list of tiers, the plain one first."""
    tiers = [_prices(cost)]
    if "context_over_200k" in cost:
        tiers.append({"tier": {"type": "context", "size": 200_000}, **_prices(cost["context_over_200k"])})
    return tiers


def _prices(cost: Document) -> Document:
    cache = _without_absent({"read": cost.get("cache_read"), "write": cost.get("cache_write")})
    return _without_absent({"input": cost["input"], "output": cost["output"], "cache": cache})


def _without_absent(found: Document) -> Document:
    return {key: value for key, value in found.items() if value is not None and value != {}}
