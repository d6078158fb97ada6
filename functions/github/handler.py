"""The exchange of GitHub tokens: workflows and people get tokens of the deployment's GitHub App."""

from typing import Any

from opencode_cloud.github.api import GitHubApi
from opencode_cloud.github.routes import GitHubRoutes
from opencode_cloud.github.service import Exchange
from opencode_cloud.github.workflows import WorkflowTokens
from opencode_cloud.kit import aws, settings
from opencode_cloud.kit.app import answer, http_app
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.limits import RateLimiter

app_secret = settings.text("GITHUB_APP_SECRET", "")
exchange = Exchange(
    GitHubApi(settings.text("GITHUB_API_URL")),
    WorkflowTokens(settings.text("GITHUB_OIDC_ISSUER")),
    lambda: app_secret and aws.secret(app_secret),
    aws.secret.cache_clear,
)
app = http_app()
GitHubRoutes(exchange, RateLimiter(settings.text("SESSIONS_TABLE"))).mount(app)


@frame
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answer one HTTP request."""
    return answer(app, event, context)
