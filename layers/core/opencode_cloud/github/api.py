"""GitHub's REST API, as our App and as a person, through PyGithub."""

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

# A function has 29 s; the longest exchange makes three calls.
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
    """GitHub at one address: ``https://api.github.com``, or ``https://<host>/api/v3`` of an Enterprise Server."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def installation(self, app: AppCredentials, repository: Repository) -> Installation | None:
        """Return the App's installation for ``repository``; None when it is not installed there."""
        with _translated(), self._as_app(app) as connection:
            try:
                found = connection.get_repo_installation(repository.owner, repository.name)
            except UnknownObjectException:
                return None
            return Installation(
                id=found.id,
                app_slug=found.app_slug,
                repository_selection=found.repository_selection,
                suspended=bool(found.suspended_at),
            )

    def installation_token(self, app: AppCredentials, installation: Installation, repository: Repository) -> str:
        """Return a token of the installation, good for an hour and for ``repository`` alone."""
        with _translated(), self._as_app(app) as connection:
            try:
                # PyGithub's own method cannot narrow a token to repositories, so we go by its requester.
                _, answer = connection.requester.requestJsonAndCheck(
                    "POST",
                    f"/app/installations/{installation.id}/access_tokens",
                    input={"repositories": [repository.name]},
                )
            except GithubException as error:
                # Removed from the installation since we looked: 404 and 422.
                if error.status in (404, 422):
                    raise models.not_installed(repository) from error
                raise
            return answer["token"]

    def may_write(self, personal_token: str, repository: Repository) -> bool:
        """Say whether GitHub knows the token, and its user may write to ``repository``."""
        with _translated(), Github(auth=Auth.Token(personal_token), base_url=self._url, **_CONNECTION) as connection:
            try:
                permissions = connection.get_repo(str(repository)).permissions
            except GithubException as error:
                # Not a token, one without access, a repository that it does not see. A rate limit is none of these.
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
    """Turn what GitHub or the network raises into errors of ours; their texts may repeat what we sent."""
    try:
        yield
    except (ServiceError, AppRefused):
        raise
    except RateLimitExceededException as error:
        raise models.rate_limited(_retry_after(error)) from error
    except GithubException as error:
        logger.warning("GitHub refused a request", status=error.status, reason=error.message)
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
