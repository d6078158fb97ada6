"""Verify identity tokens of GitHub Actions: RS256, by the issuer's published keys, for our audience."""

from __future__ import annotations

import jwt

from opencode_cloud.github.models import Repository, github_unavailable, workflow_token_refused
from opencode_cloud.github.subjects import repository_of
from opencode_cloud.kit.errors import Forbidden
from opencode_cloud.kit.log import logger

AUDIENCE = "opencode-github-action"
"""Audience of clients' tokens; part of the protocol."""
KEYS_SECONDS = 3600
"""Time for which the issuer's keys are cached. An unknown key id makes us fetch them again, at most every 30 s."""
TIMEOUT_SECONDS = 5
LEEWAY_SECONDS = 30


class WorkflowTokens:
    """Verifies the tokens of one issuer: GitHub, or an Enterprise Server."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer.rstrip("/")
        self._keys = jwt.PyJWKClient(f"{self._issuer}/.well-known/jwks", lifespan=KEYS_SECONDS, timeout=TIMEOUT_SECONDS)

    def repository(self, token: str) -> Repository:
        """Return the repository whose workflow holds ``token``.

        Raises ``invalid_token`` (403), or ``github_unavailable`` (503) when the issuer's keys cannot be fetched.
        """
        key = self._key(token)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise _refuse(type(error).__name__) from error
        repository = repository_of(claims)
        if repository is None:
            raise _refuse("NoRepository")
        return repository

    def _key(self, token: str) -> jwt.PyJWK:
        try:
            self._keys.get_signing_keys()
        except (jwt.PyJWTError, ValueError) as error:
            logger.exception("the issuer's keys could not be fetched")
            raise github_unavailable() from error
        try:
            return self._keys.get_signing_key_from_jwt(token)
        except jwt.PyJWKClientConnectionError as error:
            logger.exception("the issuer's keys could not be fetched again")
            raise github_unavailable() from error
        except jwt.PyJWTError as error:
            raise _refuse(type(error).__name__) from error


def _refuse(reason: str) -> Forbidden:
    logger.info("refused an identity token", extra={"reason": reason})
    return workflow_token_refused()
