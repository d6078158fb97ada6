"""Models of the exchange (repository, credentials of our App, installation), and its errors."""

from __future__ import annotations

import re
from typing import Annotated, Self

import msgspec

from opencode_cloud.kit.errors import BadRequest, Forbidden, NotFound, TooManyRequests, Unauthorized, Unavailable

_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,99})")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
RETRY_SECONDS = 60
"""Pause for callers, in seconds, when GitHub limits our requests without naming a time."""


class Repository(msgspec.Struct, frozen=True):
    """The names of a repository, which GitHub compares without regard to case."""

    owner: str
    name: str

    @classmethod
    def parse(cls, owner: str, name: str) -> Self | None:
        """Return the repository; None for names that GitHub does not allow, since they become parts of a URL."""
        if not _OWNER.fullmatch(owner) or not _NAME.fullmatch(name) or name in (".", ".."):
            return None
        return cls(owner, name)

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    def same_as(self, other: Repository) -> bool:
        """Tell whether both are the same repository."""
        return str(self).lower() == str(other).lower()


class AppCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials of our App, stored in Secrets Manager in this form."""

    app_id: int | Annotated[str, msgspec.Meta(min_length=1)]
    """The App's id or its client id."""
    private_key: Annotated[str, msgspec.Meta(min_length=1)]
    """RSA key in PEM form, as GitHub issues it."""

    def __repr__(self) -> str:
        return f"AppCredentials(app_id={self.app_id!r})"


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """An installation of the App in one account, with the members that clients may see."""

    id: int
    app_slug: str
    repository_selection: str
    """``all`` repositories of the account, or those ``selected``."""
    suspended: bool


def authorization_required() -> Unauthorized:
    """The request has no bearer. The sentence is a known one, which users find when they search for it."""
    return Unauthorized("authorization_required", "Authorization header is required")


def workflow_token_refused() -> Forbidden:
    """The bearer is not a valid identity token of a workflow for us. The broken rule is deliberately not named."""
    return Forbidden("invalid_token", "Invalid or expired token")


def personal_token_refused(repository: Repository) -> Unauthorized:
    """The personal token may not write to the repository, or cannot see it. Both cases get the same answer."""
    return Unauthorized(
        "insufficient_permission",
        f"This token's user has no write access to {repository}, or GitHub does not accept the token.",
    )


def invalid_repository() -> BadRequest:
    """GitHub does not allow these names for a repository."""
    return BadRequest("invalid_repository", "`owner` and `repo` must be the names of a repository on GitHub.")


def not_installed(repository: Repository) -> NotFound:
    """The App is not installed for the repository, or the repository does not exist: GitHub does not say which."""
    return NotFound(
        "app_not_installed",
        f"The GitHub App of this deployment is not installed on {repository}. Ask an owner of {repository.owner} to"
        " install it for this repository.",
    )


def installation_suspended(repository: Repository) -> Forbidden:
    """The owner has suspended the App."""
    return Forbidden(
        "installation_suspended",
        f"The GitHub App of this deployment is suspended on {repository}. Ask an owner of {repository.owner} to"
        " unsuspend it.",
    )


def rate_limited(retry_after: int) -> TooManyRequests:
    """GitHub limits our requests; ``retry_after`` is in seconds."""
    return TooManyRequests(
        "github_rate_limited", f"GitHub limits our requests. Try again in {retry_after} seconds.", retry_after
    )


def not_configured() -> Unavailable:
    """The deployment has no App."""
    return Unavailable(
        "github_not_configured",
        "This deployment has no GitHub App. Its operator registers one, adds a section `[github]` to the stage's"
        " settings, and stores the App's id and private key in the secret that the deployment then makes"
        " (docs/github.md).",
    )


def credentials_invalid(what: str) -> Unavailable:
    """The secret is not of the documented form, or GitHub does not accept the credentials in it."""
    return Unavailable(
        "github_app_refused",
        f"The GitHub App of this deployment cannot be used: {what}. Its operator corrects the secret (docs/github.md).",
    )


def github_unavailable() -> Unavailable:
    """GitHub could not be reached, or failed."""
    return Unavailable("github_unavailable", "GitHub could not be reached or failed. Run the workflow again.")
