"""The function `github`: exchanges GitHub tokens of workflows and people for tokens of the GitHub App."""

from __future__ import annotations

from typing import Annotated

from opencode_cloud.composition.settings import OriginSecret, SessionsTable
from opencode_cloud.github.api import GitHubApi
from opencode_cloud.github.routes import GitHubRoutes
from opencode_cloud.github.service import Exchange
from opencode_cloud.github.workflows import WorkflowTokens
from opencode_cloud.kit import aws
from opencode_cloud.kit.edge import behind_edge
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.rate_limits import RateLimiter
from opencode_cloud.kit.settings import FunctionSettings


class GithubSettings(FunctionSettings):
    """Environment variables of the function."""

    sessions_table: SessionsTable
    origin_secret: OriginSecret
    github_api_url: Annotated[str, "the URL of the GitHub API"]
    github_oidc_issuer: Annotated[str, "the issuer of the identity tokens of workflows"]
    github_app_secret: Annotated[str, "the ARN of the secret of the GitHub App; empty without an app"] = ""


def build(settings: GithubSettings) -> Handler:
    """Return the handler."""
    secret = settings.github_app_secret
    exchange = Exchange(
        GitHubApi(settings.github_api_url),
        WorkflowTokens(settings.github_oidc_issuer),
        lambda: secret and aws.secret(secret),
        aws.secret.cache_clear,
    )
    app = HttpRoutes()
    GitHubRoutes(exchange, RateLimiter(settings.sessions_table)).mount(app)
    return frame(behind_edge(app.answer, lambda: aws.secret(settings.origin_secret)))
