"""Builds the pages of shares in the console, which the function ``share`` serves at their first request.

Pages need libraries that no sync needs, so nothing at a start imports this module (docs/decisions/038).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opencode_cloud.console.app import ConsoleApp
from opencode_cloud.console.menu import pages_of
from opencode_cloud.console.shares import SharePages
from opencode_cloud.http.pages import pages_app
from opencode_cloud.kit import aws
from opencode_cloud.kit.http_app import answer

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.composition.share import ShareSettings
    from opencode_cloud.kit.lambda_handlers import Handler
    from opencode_cloud.sharing.service.deletion import ShareDeletion
    from opencode_cloud.sharing.service.owning import Owning


def share_pages(settings: ShareSettings, access: Access, owning: Owning, deletion: ShareDeletion) -> Handler:
    """Return the handler of the pages."""
    app = pages_app()
    # The pages beside these note the use of a session, and have the key of the form that ends it.
    console = ConsoleApp(
        access,
        lambda: aws.secret(settings.session_key_secret),
        lambda _session: None,
        settings.public_url,
        signs_out=False,
    )
    console.mount(app)
    console.menu.extend(pages_of(billing=settings.billing, sells=settings.billing and bool(settings.stripe_secret)))
    SharePages(console, owning, deletion, access).mount()

    def handle(event: dict[str, Any], context: Any) -> Any:
        return answer(app, event, context)

    return handle
