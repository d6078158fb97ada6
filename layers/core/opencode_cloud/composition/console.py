"""The function `console`: HTTP with SQL, which is the API under `/api/v1` and the pages of people.

An environment that a request waits for builds only the part that the request needs (docs/decisions/038).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from opencode_cloud.composition.settings import (
    AccessSettings,
    BillingEnabled,
    BudgetsTable,
    CredentialsKey,
    ExportsBucket,
    ExportsQueueUrl,
    OperatedQueues,
    Operators,
    OriginSecret,
    PublicUrl,
    RedirectUris,
    ReleasesUrl,
    RequestsPerMinute,
    StripeSecretArn,
    UsageTable,
)
from opencode_cloud.composition.sql_settings import WorkspaceSettings
from opencode_cloud.http.api import limited_answer
from opencode_cloud.kit import aws
from opencode_cloud.kit.edge import behind_edge
from opencode_cloud.kit.http_app import answer
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.rate_limits import REQUESTS_PER_MINUTE, RateLimiter
from opencode_cloud.kit.starting import starts_ahead

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.composition.console_parts import ConsoleParts

API = "/api/"


class ConsoleSettings(WorkspaceSettings, AccessSettings):
    """Environment variables of the function."""

    credentials_key: CredentialsKey
    budgets_table: BudgetsTable
    usage_table: UsageTable
    billing: BillingEnabled = False
    stripe_secret: StripeSecretArn = ""
    exports_bucket: ExportsBucket
    exports_queue_url: ExportsQueueUrl
    login_methods: Annotated[str, "the login methods of the stage, as JSON"]
    login_secrets: Annotated[str, "the ARN of the secret with the client secrets of login methods"]
    origin_secret: OriginSecret
    redirect_uris: RedirectUris = ()
    operators: Operators = ()
    releases_url: ReleasesUrl = ""
    operated_queues: OperatedQueues = ()
    public_url: PublicUrl = ""
    requests_per_minute: RequestsPerMinute = REQUESTS_PER_MINUTE


class ConsoleApps:
    """The apps of the function: the API, and the pages. Each is imported and built at its first use."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings

    @cached_property
    def api(self) -> APIGatewayHttpResolver:
        """The app of `/api/v1` without shares, which the function `share` serves, and with its documents."""
        from opencode_cloud.composition.console_api import api_of

        return api_of(self._parts)

    @cached_property
    def pages(self) -> APIGatewayHttpResolver:
        """The app of everything that people open in a browser."""
        from opencode_cloud.composition.console_pages import site_of

        return site_of(self._parts)

    def prepare(self) -> None:
        """Build both apps."""
        _ = self.api, self.pages

    @cached_property
    def _parts(self) -> ConsoleParts:
        from opencode_cloud.composition.console_parts import ConsoleParts

        return ConsoleParts(self._settings)


def build(settings: ConsoleSettings) -> Handler:
    """Return the handler."""
    apps = ConsoleApps(settings)
    if starts_ahead():
        apps.prepare()
    limiter = RateLimiter(settings.sessions_table, settings.requests_per_minute)

    def handle(event: dict[str, Any], context: Any) -> Any:
        if event["rawPath"].startswith(API):
            return limited_answer(apps.api, limiter, event, context)
        return answer(apps.pages, event, context)

    return frame(behind_edge(handle, lambda: aws.secret(settings.origin_secret)))
