"""Builds the playground, which the function ``identity`` serves because it issues tokens (docs/decisions/060)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opencode_cloud.console.app import ConsoleApp, form_answers
from opencode_cloud.console.gateway_client import GatewayClient
from opencode_cloud.console.menu import pages_of
from opencode_cloud.console.playground import PlaygroundPages
from opencode_cloud.http.pages import pages_app
from opencode_cloud.kit.http_app import answer
from opencode_cloud.usage.store.settled import SettledCalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from opencode_cloud.access.service import Access
    from opencode_cloud.catalogue.service.caching import CatalogueCache
    from opencode_cloud.composition.identity import IdentitySettings
    from opencode_cloud.identity.service.tokens import AccessTokens
    from opencode_cloud.kit.lambda_handlers import Handler


def playground(
    settings: IdentitySettings,
    access: Access,
    catalogue: CatalogueCache,
    tokens: AccessTokens,
    deployment_key: Callable[[], str],
) -> Handler:
    """Return the handler of the page."""
    app = pages_app()
    # The pages of the function `console` note the use of a session.
    console = ConsoleApp(
        access,
        deployment_key,
        lambda _session: None,
        settings.public_url,
        form_answers(settings.sessions_table, deployment_key),
    )
    console.mount(app)
    console.menu.extend(pages_of(billing=settings.billing, sells=settings.billing and bool(settings.stripe_secret)))
    PlaygroundPages(console, catalogue, GatewayClient(), tokens.issue, SettledCalls(settings.usage_table)).mount()

    def handle(event: dict[str, Any], context: Any) -> Any:
        return answer(app, event, context)

    return handle
