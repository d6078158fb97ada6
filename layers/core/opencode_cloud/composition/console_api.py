"""Builds the API under `/api/v1`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opencode_cloud.audit.routes import AuditRoutes
from opencode_cloud.billing.routes import BillingRoutes
from opencode_cloud.budgets.routes import BudgetsRoutes
from opencode_cloud.catalogue.routes import ModelRoutes
from opencode_cloud.catalogue.service.caching import CatalogueCache
from opencode_cloud.composition.services.billing import coupons_of, reader_of
from opencode_cloud.http.api import api_app
from opencode_cloud.http.documents import DocumentRoutes
from opencode_cloud.http.gate import only_once
from opencode_cloud.keys.routes import KeysRoutes
from opencode_cloud.policies.routes import PolicyRoutes
from opencode_cloud.usage.routes import UsageRoutes
from opencode_cloud.workspaces.routes import TeamRoutes

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.composition.console_parts import ConsoleParts


def api_of(parts: ConsoleParts) -> APIGatewayHttpResolver:
    """Return the API without shares, which the function `share` serves, and with its documents."""
    plane, settings, allowed, team, usage = parts.plane, parts.settings, parts.access, parts.team, parts.usage
    app: Any = api_app()
    app.use([only_once(allowed, settings.sessions_table, plane.deployment_key)])
    TeamRoutes(team, allowed).mount(app)
    KeysRoutes(team.keys, team.credentials, allowed).mount(app)
    PolicyRoutes(plane.publisher, allowed, settings.public_url).mount(app)
    AuditRoutes(plane.audit_reading, allowed).mount(app)
    BudgetsRoutes(parts.budgets, parts.limits, allowed).mount(app)
    catalogue = CatalogueCache(plane.current_catalogue)
    ModelRoutes(catalogue, allowed, plane.deployment_key, settings.public_url).mount(app)
    coupons = coupons_of(plane.database, plane.outbox, plane.audit, enabled=settings.billing)
    BillingRoutes(reader_of(plane.database, enabled=settings.billing), coupons, allowed).mount(app)
    UsageRoutes(usage.reader, usage.exports, usage.cache_misses, allowed).mount(app)
    DocumentRoutes().mount(app)
    return app
