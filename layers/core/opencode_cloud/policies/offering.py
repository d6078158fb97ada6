"""Add our own gateway to clients' configuration, so that users can call models right after they log in.

It is added when the configuration is served, not when it is compiled, because the catalogue changes without any
publication by a workspace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opencode_cloud.catalogue import listing
from opencode_cloud.contracts.access import WORKSPACE_HEADER
from opencode_cloud.contracts.ids import WorkspaceId

if TYPE_CHECKING:
    from opencode_cloud.catalogue.models import Catalogue

Document = dict[str, Any]

TOKEN = "{env:OPENCODE_CONSOLE_TOKEN}"  # noqa: S105 - a reference that the client replaces by its token
"""The ``apiKey`` of a provider that is our own gateway. Other servers do not accept our tokens."""
_OF_POLICIES = frozenset({"whitelist", "blacklist"})


def with_gateway(
    config: Document, catalogue: Catalogue, permits: listing.Permits, workspace_id: WorkspaceId, base_url: str, at: int
) -> Document:
    """Return ``config`` with our provider and the models that ``workspace_id`` may use, at the prices of ``at``.

    The configuration stays the same if it defines that provider itself, or if the workspace may use none of the models.
    ``base_url`` is the gateway's address; ``at`` is in seconds since the epoch.
    """
    name, providers = catalogue.provider, config.get("provider", {})
    # An entry that comes from a policy has only lists of models; a document's own entry has more members.
    own_entry = providers.get(name, {})
    ours = listing.configured(catalogue, permits, base_url, at)
    if not ours["models"] or set(own_entry) - _OF_POLICIES or not _enabled(config, name):
        return config
    options = {**ours["options"], "apiKey": TOKEN, "headers": {WORKSPACE_HEADER: workspace_id}}
    offered = {**config, "provider": {**providers, name: {**ours, "options": options, **own_entry}}}
    if catalogue.small_model in ours["models"]:
        offered.setdefault("small_model", f"{name}/{catalogue.small_model}")
    return offered


def _enabled(config: Document, provider: str) -> bool:
    enabled = config.get("enabled_providers")
    return provider not in config.get("disabled_providers", []) and (enabled is None or provider in enabled)
