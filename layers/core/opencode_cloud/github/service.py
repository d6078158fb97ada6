"""The exchange: decide which callers get a token of our App, and for which repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from opencode_cloud.github import models
from opencode_cloud.github.api import AppRefused, GitHubApi
from opencode_cloud.github.models import AppCredentials, Installation, Repository
from opencode_cloud.github.workflows import WorkflowTokens
from opencode_cloud.kit.log import count, logger

Result = TypeVar("Result")


class Exchange:
    """Issues installation tokens, each for one repository, to its workflows and to people who may write to it."""

    def __init__(
        self, api: GitHubApi, workflows: WorkflowTokens, secret: Callable[[], str], forget_secret: Callable[[], None]
    ) -> None:
        """Exchange over ``api`` and ``workflows``.

        Args:
            api: GitHub.
            workflows: Verifies workflows' identity tokens.
            secret: Returns the App's credentials as stored, JSON; empty when the deployment has no App.
            forget_secret: Drops the cached secret: the operator may have replaced the App's key.
        """
        self._api = api
        self._workflows = workflows
        self._secret = secret
        self._forget_secret = forget_secret

    def for_workflow(self, identity_token: str) -> str:
        """Return a token for the repository whose workflow holds ``identity_token``."""
        if not identity_token:
            raise models.authorization_required()
        # Before the token is verified: a deployment without an App says so, and does not fetch GitHub's keys.
        self._credentials()
        return self._token(self._workflows.repository(identity_token))

    def for_person(self, personal_token: str, owner: str, name: str) -> str:
        """Return a token for a repository that the person with ``personal_token`` may write to."""
        if not personal_token:
            raise models.authorization_required()
        repository = _repository(owner, name)
        self._credentials()
        if not self._api.may_write(personal_token, repository):
            raise models.personal_token_refused(repository)
        return self._token(repository)

    def installation(self, owner: str, name: str) -> Installation | None:
        """Return the App's installation for a repository; None when it is not installed there."""
        repository = _repository(owner, name)
        return self._as_app(lambda app: self._api.installation(app, repository))

    def _token(self, repository: Repository) -> str:
        def exchange(app: AppCredentials) -> str:
            installation = self._api.installation(app, repository)
            if installation is None:
                raise models.not_installed(repository)
            if installation.suspended:
                raise models.installation_suspended(repository)
            return self._api.installation_token(app, installation, repository)

        token = self._as_app(exchange)
        count("GitHubTokenCount")
        logger.info("gave a token of the GitHub App", extra={"repository": str(repository)})
        return token

    def _as_app(self, act: Callable[[AppCredentials], Result]) -> Result:
        """Act as the App. If GitHub refuses the key, read the secret again and try once more."""
        try:
            return act(self._credentials())
        except AppRefused:
            self._forget_secret()
        try:
            return act(self._credentials())
        except AppRefused as error:
            raise models.credentials_invalid("GitHub does not accept its id and key") from error

    def _credentials(self) -> AppCredentials:
        secret = self._secret()
        if not secret:
            raise models.not_configured()
        try:
            return msgspec.json.decode(secret, type=AppCredentials)
        except msgspec.DecodeError:
            # Not chained: the error's text may repeat the secret. Not cached: the operator will correct it.
            self._forget_secret()
            raise models.credentials_invalid(
                'the secret is not JSON of the form {"app_id": ..., "private_key": ...}'
            ) from None


def _repository(owner: str, name: str) -> Repository:
    repository = Repository.parse(owner, name)
    if repository is None:
        raise models.invalid_repository()
    return repository
