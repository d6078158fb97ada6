"""Refused calls and keys: each is logged and kept, without content, so that an admin can say why it was refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from opencode_cloud.contracts.audit import Target
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.throttle import Throttle

if TYPE_CHECKING:
    from opencode_cloud.access.service.inference import Caller
    from opencode_cloud.contracts.access import KeyRefused
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.kit.errors import ServiceError

KEPT_A_MINUTE = 60
"""Refusals of a workspace that one process keeps in a minute. More are only logged: a client may repeat a call."""
RECORD_SECONDS = 2.0
"""Longest wait for the record of a refusal, which delays the refusal itself."""
ACTION = "call.refused"
_LONGEST_ID = 64
_LONGEST_REASON = 500

Record = Callable[["Actor", str, Target, dict[str, Any]], Awaitable[None]]
"""Keeps an entry of an actor's workspace: actor, action, target and facts."""


class Refusals:
    """Logs and keeps refusals of calls whose caller or key is known."""

    def __init__(self, record: Record, throttle: Throttle | None = None) -> None:
        self._record = record
        self._throttle = throttle or Throttle(KEPT_A_MINUTE)

    async def note(self, caller: Caller, model: str, error: ServiceError) -> None:
        """Log and keep that ``error`` refuses a call of ``model``. Our own failures are no refusals.

        It never raises: the caller gets the refusal, whether it is kept or not.
        """
        if not caller.actor.id or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        target = Target("model", model[:_LONGEST_ID], model[:_LONGEST_ID])
        await self._keep(caller.actor, target, error.code, error.status, error.message)

    async def note_key(self, refused: KeyRefused) -> None:
        """Log and keep that a key is refused. It never raises."""
        target = Target("key", refused.key.id, refused.key.name)
        await self._keep(refused.actor, target, refused.rule, refused.status, refused.reason)

    async def _keep(self, actor: Actor, target: Target, rule: str, status: int, reason: str) -> None:
        facts = {"rule": rule, "status": int(status), "reason": reason[:_LONGEST_REASON]}
        logger.info(
            "a call is refused",
            extra={
                "workspace": actor.workspace_id,
                "key": actor.key_id,
                "member": actor.id,
                target.kind: target.id,
                "rule": rule,
                "status": int(status),
                "correlation_id": actor.correlation_id,
            },
        )
        if not self._throttle.admits(actor.workspace_id):
            return
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                await self._record(actor, ACTION, target, facts)
        except Exception:  # noqa: BLE001 - the client must get its refusal, whatever fails here
            logger.exception("a refusal could not be kept", extra={"correlation_id": actor.correlation_id})
