"""Our own gateway in what clients are configured with, so that who has logged in can use it at once.

It is added as the configuration is served, not as it is compiled: what the catalogue holds changes without any
workspace publishing anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opencode_cloud.catalogue import listing
from opencode_cloud.contracts.access import WORKSPACE_HEADER
from opencode_cloud.contracts.ids import WorkspaceId

if TYPE_CHECKING:
    from opencode_cloud.catalogue.models import Catalogue

Document = dict[str, Any]

TOKEN = "{env:OPENCODE_CONSOLE_TOKEN}"  # noqa: S105 - a reference, which the client puts its token in place of
"""What a provider's ``apiKey`` refers to when it is our own gateway: no other server has use for our tokens."""
_OF_POLICIES = frozenset({"whitelist", "blacklist"})


def with_gateway(
    config: Document, catalogue: Catalogue, permits: listing.Permits, workspace_id: WorkspaceId, base_url: str, at: int
) -> Document:
    """Return ``config`` with our provider and the models that ``workspace_id`` may use, at the prices of ``at``.

    A workspace whose configuration defines that provider itself has said what it wants, and one that may use none of
    the models needs none. ``base_url`` is where the gateway lies; ``at`` is in seconds since the epoch.
    """
    name, providers = catalogue.provider, config.get("provider", {})
    # A policy alone leaves an entry that names models; a document's own says more.
    present = providers.get(name, {})
    ours = listing.configured(catalogue, permits, base_url, at)
    if not ours["models"] or set(present) - _OF_POLICIES or not _enabled(config, name):
        return config
    options = {**ours["options"], "apiKey": TOKEN, "headers": {WORKSPACE_HEADER: workspace_id}}
    found = {**config, "provider": {**providers, name: {**ours, "options": options, **present}}}
    if catalogue.small_model in ours["models"]:
        found.setdefault("small_model", f"{name}/{catalogue.small_model}")
    return found


def _enabled(config: Document, provider: str) -> bool:
    enabled = config.get("enabled_providers")
    return provider not in config.get("disabled_providers", []) and (enabled is None or provider in enabled)
