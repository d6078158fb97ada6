"""Compile a policy and a configuration document to the clients' configuration.

The client's configuration contains as much of the policy as it can express, so that people see what they may use. It
is advisory: gateway and sharing enforce the policy themselves (``EnforcedPolicy`` in ``access``), and an edited
configuration changes nothing for them.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from opencode_cloud.contracts.access import (
    WORKSPACE_HEADER,
    EnforcedPolicy,
    EnforcedRules,
    KnownConfiguration,
    RedactionPattern,
)
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.policies import second_generation
from opencode_cloud.policies.models import Policy, ShareMode
from opencode_cloud.policies.offering import TOKEN

Document = dict[str, Any]

TOOLS = (
    *("bash", "codesearch", "edit", "glob", "grep", "list", "lsp", "question", "read", "skill", "task", "todowrite"),
    *("webfetch", "websearch"),
)
"""The client's built-in tools, by their names in its permissions."""
WILDCARDS = frozenset("*?")
# The client's own defaults. An allow-list begins by denying everything, so they must be repeated.
DEFAULT_PERMISSIONS: Mapping[str, Any] = {
    "read": {"*": "allow", "*.env": "ask", "*.env.*": "ask", "*.env.example": "allow"},
}
NO_TOOLS: Mapping[str, Any] = {"external_directory": "ask", "doom_loop": "ask"}
"""Permissions that do not concern a single tool."""


def enforced(policy: Policy, version: int) -> EnforcedPolicy:
    """Compile a policy to the form that the data planes enforce."""
    return EnforcedPolicy(
        version=version,
        providers=policy.providers.enforced(),
        models=policy.models.enforced(),
        tools=policy.tools.enforced(),
        share_mode=policy.share.mode,
        share_lifetime_seconds=policy.share.max_lifetime_seconds,
        share_redaction=policy.share.redaction,
        share_patterns=tuple(RedactionPattern(each.name, each.pattern) for each in policy.share.patterns),
        session_budget=policy.session_budget,
        fallbacks=tuple(rule.enforced() for rule in policy.fallbacks),
    )


def client_config(policy: Policy, document: Document, workspace_id: WorkspaceId) -> Document:
    """Apply a policy to a configuration document. If they conflict, the policy wins."""
    config = copy.deepcopy(document)
    _name_workspace(config, workspace_id)
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


def configuration(policy: Policy, document: Document, workspace_id: WorkspaceId) -> KnownConfiguration | None:
    """Compile the remote config of a workspace; None when it is empty."""
    config = client_config(policy, document, workspace_id)
    if not config:
        return None
    first = msgspec.json.encode(config)
    second = msgspec.json.encode(second_generation.providers(config, enforced(policy, 0)))
    etag = hashlib.sha256(first + b"\0" + second).hexdigest()[:32]
    return KnownConfiguration(etag=etag, config=msgspec.Raw(first), providers=msgspec.Raw(second))


def _name_workspace(config: Document, workspace_id: WorkspaceId) -> None:
    """Make the client send the workspace's id to our gateway, because its token identifies only the caller."""
    for provider in _providers(config).values():
        options = provider.get("options", {})
        if options.get("apiKey") == TOKEN and isinstance(options.setdefault("headers", {}), dict):
            options["headers"][WORKSPACE_HEADER] = workspace_id


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
    experimental = config.setdefault("experimental", {})
    # The last matching statement wins, so the policy's follow the document's own.
    experimental["policies"] = [*experimental.get("policies", []), *second_generation.of_providers(rules)]


def _has_models(models: EnforcedRules, provider: str) -> bool:
    """Return whether any pattern could allow a model of ``provider``."""
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
    """Return the models of ``provider`` that ``patterns`` name; None when a pattern has a wildcard.

    The client compares whole names only, and only its own catalogue lists the models of a provider.
    """
    if patterns is None:
        return None
    of_provider = [p for p in patterns if EnforcedRules(allow=(p.partition("/")[0],)).permit(provider)]
    names = [pattern.partition("/")[2] for pattern in of_provider]
    return sorted(names) if all(name and not WILDCARDS & set(name) for name in names) else None


def _restrict_tools(config: Document, rules: EnforcedRules) -> None:
    if rules.allow is None and not rules.deny:
        return
    own_permission = config.get("permission", {})
    own: Document = {"*": own_permission} if isinstance(own_permission, str) else dict(own_permission)
    for tool, on in config.pop("tools", {}).items():
        own.setdefault("edit" if tool in ("write", "patch") else tool, "allow" if on else "deny")
    permission: Document = dict(own)
    if rules.allow is not None:
        # In the client later keys win, so the document's grants follow the denial of everything.
        permission = {"*": "deny", **NO_TOOLS, **{name: own[name] for name in NO_TOOLS if name in own}}
        for name in rules.allow:
            permission[name] = own.get(name, own.get("*", DEFAULT_PERMISSIONS.get(name, "allow")))
        # Tools that a pattern allows by another agent's spelling.
        for name in (tool for tool in TOOLS if rules.permit_tool(tool) and not rules.permit(tool)):
            permission[name] = own.get(name, own.get("*", DEFAULT_PERMISSIONS.get(name, "allow")))
        permission |= {name: value for name, value in own.items() if name != "*" and rules.permit_tool(name)}
    denied = [n for n in (*own, *TOOLS) if n not in NO_TOOLS and n != "*" and not rules.permit_tool(n)]
    for name in (*denied, *rules.deny):
        # Last, so that no earlier key can grant it.
        permission.pop(name, None)
        permission[name] = "deny"
    config["permission"] = permission


def _exact(patterns: Any) -> set[str]:
    return {pattern for pattern in patterns or () if not WILDCARDS & set(pattern)}


def _is_exact(patterns: Any) -> bool:
    return patterns is not None and len(_exact(patterns)) == len(patterns)
