"""Keys for upstreams: the platform's from Secrets Manager, a workspace's own decrypted by KMS. Never logged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit import aws, envelope_encryption
from opencode_cloud.kit.aws_api.errors import AwsError
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from opencode_cloud.contracts.access import KnownCredential

KEPT_SECONDS = 300
"""Time for which a key is used before it is fetched again: a replaced key may still be sent for that long."""
RETRY_SECONDS = 5
"""Pause before keys are fetched again after a failure, or while a call cannot be served without one."""
MISSING_SECONDS = 10
"""Pause before keys are fetched again in the background, while the key of one of several upstreams is missing."""
MOST_KEPT = 1000
"""Own keys of workspaces that a process keeps in memory."""


class UpstreamKeys:
    """Fetches and caches keys. Calls to AWS run in threads: each key is fetched once in five minutes."""

    def __init__(self, secret_arn: str, credentials_key: str) -> None:
        """``secret_arn`` names the secret with the platform's keys, a JSON object from upstream to key."""
        self._secret_arn = secret_arn
        self._credentials_key = credentials_key
        self._platform: Mapping[str, str] = {}
        self._fetched_at = float("-inf")
        self._lasts = 0.0
        """Seconds for which the fetched keys are valid."""
        self._refreshing: asyncio.Task[None] | None = None
        self._opened: dict[tuple[str, bytes], tuple[float, str]] = {}

    async def platform(self, *, fresh: bool = False) -> Mapping[str, str]:
        """Return the platform's keys by upstream. Old keys are returned while new ones are fetched.

        ``fresh``: a key was missing, so wait for new keys unless they were fetched seconds ago.
        """
        if self._age() >= (RETRY_SECONDS if fresh else self._lasts):
            refreshing = self._start()
            if fresh or not self._lasts:
                await asyncio.shield(refreshing)
        return self._platform

    def look_for_missing(self) -> None:
        """Fetch the keys in the background: one is missing, and may be new."""
        if self._age() >= MISSING_SECONDS:
            self._start()

    def _age(self) -> float:
        return time.monotonic() - self._fetched_at

    def _start(self) -> asyncio.Task[None]:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
        return self._refreshing

    async def open(self, workspace_id: WorkspaceId, credential: KnownCredential) -> str:
        """Return a workspace's own key in plain text; raises ``keys_unavailable`` (503)."""
        name = (credential.id, credential.sealed)
        cached = self._opened.get(name)
        if cached and cached[0] > time.monotonic():
            return cached[1]
        sealed = envelope_encryption.Sealed(credential.sealed, credential.data_key)
        context = {"workspace": workspace_id, "credential": credential.id}
        try:
            plain = await asyncio.to_thread(envelope_encryption.unseal, self._credentials_key, sealed, context)
        except AwsError as error:
            logger.exception("KMS did not open a data key", extra={"credential": credential.id})
            raise Unavailable("keys_unavailable", "The key store cannot be reached now. Try again.", 1) from error
        if len(self._opened) >= MOST_KEPT:
            self._opened.clear()
        self._opened[name] = time.monotonic() + KEPT_SECONDS, plain.decode()
        return plain.decode()

    async def _refresh(self) -> None:
        try:
            self._platform = await asyncio.to_thread(self._fetch)
            self._lasts = KEPT_SECONDS
        except (AwsError, msgspec.DecodeError):
            logger.exception("the keys of upstreams could not be fetched")
            self._lasts = RETRY_SECONDS
        self._fetched_at = time.monotonic()

    def _fetch(self) -> Mapping[str, str]:
        text = aws.secrets_manager().secret(self._secret_arn)
        return msgspec.json.decode(text, type=dict[str, str])
