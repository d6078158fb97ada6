"""Call GitHub's REST API as our App or as a person, through PyGithub."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import jwt
import requests
from github import Auth, Github, GithubException, GithubIntegration, RateLimitExceededException, UnknownObjectException

from opencode_cloud.github import models
from opencode_cloud.github.models import AppCredentials, Installation, Repository
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.log import logger

# A function has 29 s, and the longest exchange makes three calls. Hence 8 s for each and no retries.
_CONNECTION: dict[str, Any] = {
    "timeout": 8,
    "retry": 0,
    "seconds_between_requests": None,
    "seconds_between_writes": None,
    "user_agent": "opencode-cloud",
}


class AppRefused(Exception):
    """GitHub does not accept the App's credentials: unknown id, wrong or revoked key."""


class GitHubApi:
    """GitHub's API at one address: ``https://api.github.com``, or ``https://<host>/api/v3`` of an Enterprise Server."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def installation(self, app: AppCredentials, repository: Repository) -> Installation | None:
        """Return the App's installation for ``repository``; None when it is not installed there."""
        with _translated(), self._as_app(app) as connection:
            try:
                installation = connection.get_repo_installation(repository.owner, repository.name)
            except UnknownObjectException:
                return None
            return Installation(
                id=installation.id,
                app_slug=installation.app_slug,
                repository_selection=installation.repository_selection,
                suspended=bool(installation.suspended_at),
            )

    def installation_token(self, app: AppCredentials, installation: Installation, repository: Repository) -> str:
        """Return a token of the installation, valid for an hour and for ``repository`` alone."""
        with _translated(), self._as_app(app) as connection:
            try:
                # PyGithub's own method cannot narrow a token to repositories, so this calls its requester.
                _, answer = connection.requester.requestJsonAndCheck(
                    "POST",
                    f"/app/installations/{installation.id}/access_tokens",
                    input={"repositories": [repository.name]},
                )
            except GithubException as error:
                # The repository was removed from the installation after the look-up: 404 and 422.
                if error.status in (404, 422):
                    raise models.not_installed(repository) from error
                raise
            return answer["token"]

    def may_write(self, personal_token: str, repository: Repository) -> bool:
        """Tell whether GitHub accepts the token and its user may write to ``repository``."""
        with _translated(), Github(auth=Auth.Token(personal_token), base_url=self._url, **_CONNECTION) as connection:
            try:
                permissions = connection.get_repo(str(repository)).permissions
            except GithubException as error:
                # An invalid token, one without access, or an invisible repository. A rate limit answers 403 too.
                if error.status in (401, 403, 404) and not isinstance(error, RateLimitExceededException):
                    return False
                raise
            return bool(permissions and (permissions.admin or permissions.maintain or permissions.push))

    @contextmanager
    def _as_app(self, app: AppCredentials) -> Generator[GithubIntegration]:
        auth = Auth.AppAuth(app.app_id, app.private_key)
        try:
            auth.create_jwt()
        except (ValueError, TypeError, jwt.PyJWTError) as error:
            raise models.credentials_invalid("its private key is not an RSA key in PEM form") from error
        try:
            with GithubIntegration(auth=auth, base_url=self._url, **_CONNECTION) as connection:
                yield connection
        except GithubException as error:
            if error.status == 401:
                raise AppRefused from error
            raise


@contextmanager
def _translated() -> Generator[None]:
    """Translate errors of GitHub and of the network into our errors. Omit their texts, which may repeat the request."""
    try:
        yield
    except (ServiceError, AppRefused):
        raise
    except RateLimitExceededException as error:
        raise models.rate_limited(_retry_after(error)) from error
    except GithubException as error:
        logger.warning("GitHub refused a request", extra={"status": error.status, "reason": error.message})
        if error.status == 429:
            raise models.rate_limited(_retry_after(error)) from error
        raise models.github_unavailable() from error
    except requests.RequestException as error:
        logger.exception("GitHub could not be reached")
        raise models.github_unavailable() from error


def _retry_after(error: GithubException) -> int:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if headers.get("retry-after", "").isdigit():
        return int(headers["retry-after"])
    if headers.get("x-ratelimit-reset", "").isdigit():
        return max(1, int(headers["x-ratelimit-reset"]) - int(time.time()))
    return models.RETRY_SECONDS
