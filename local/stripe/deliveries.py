"""Webhooks: events are posted to the endpoints, signed, again until they are taken, in disorder if asked to."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from stripe import WebhookSignature

from local.stripe.objects import Json

if TYPE_CHECKING:
    from local.stripe.account import Account

logger = logging.getLogger(__name__)

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses between attempts. Stripe's grow to hours, over three days."""
ANSWER_SECONDS = 10.0


@dataclass(slots=True)
class Secret:
    """A signing secret of an endpoint."""

    text: str
    ends_at: float | None = None
    """Unix time after which it signs no more; None: the current one."""


class Deliveries:
    """The events on their way from one account to its webhook endpoints."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.secrets: dict[str, list[Secret]] = {}
        """By endpoint, the current one first."""
        self.is_held = False
        self._held: list[Json] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, event: Json) -> None:
        """Begin to deliver an event to each enabled endpoint that wants it."""
        if self.is_held:
            self._held.append(event)
        else:
            self._begin(event)

    def release(self, order: str, copies: int, seed: int) -> int:
        """Deliver what was held, and hold no more; return the number of deliveries for an endpoint.

        Args:
            order: `given`, `reversed` or `shuffled`.
            copies: Deliveries of each event.
            seed: Of the shuffling.
        """
        self.is_held = False
        events = [event for event in self._held for _ in range(copies)]
        self._held.clear()
        if order == "reversed":
            events.reverse()
        elif order == "shuffled":
            random.Random(seed).shuffle(events)  # noqa: S311 - no secret
        for event in events:
            self._begin(event)
        return len(events)

    def resend(self, event: Json, copies: int) -> None:
        """Deliver an event again, as the dashboard's button does."""
        for _ in range(copies):
            self._begin(event)

    def roll(self, endpoint_id: str, secret: str, seconds: float) -> None:
        """Make `secret` the current one; the old ones sign for `seconds` more."""
        for old in self.secrets[endpoint_id]:
            old.ends_at = min(old.ends_at or float("inf"), time.time() + seconds)
        self.secrets[endpoint_id].insert(0, Secret(secret))

    def header(self, endpoint_id: str, body: str, at: int) -> str:
        """Return the signature header: one `v1` for each secret that is valid."""
        valid = [each for each in self.secrets[endpoint_id] if each.ends_at is None or each.ends_at > time.time()]
        sign: Callable[[str, str, int], str] = cast("Any", WebhookSignature).generate_signature_header
        signed = [sign(body, each.text, at) for each in valid]
        return ",".join([f"t={at}", *(each.split(",", 1)[1] for each in signed)])

    @property
    def is_idle(self) -> bool:
        """Whether no delivery runs or waits for its next attempt."""
        return not self._tasks

    def stop(self) -> None:
        """Give up all deliveries."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, event: Json) -> None:
        for endpoint in self._account.all("webhook_endpoint", status="enabled"):
            if "*" in endpoint["enabled_events"] or event["type"] in endpoint["enabled_events"]:
                event["pending_webhooks"] += 1
                task = asyncio.get_running_loop().create_task(self._deliver(event, endpoint))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _deliver(self, event: Json, endpoint: Json) -> None:
        for pause in (*RETRY_SECONDS, None):
            if endpoint not in self._account.all("webhook_endpoint", status="enabled"):
                return  # deleted or disabled since the last attempt
            if await self._post(event, endpoint):
                event["pending_webhooks"] -= 1
                return
            if pause is not None:
                await asyncio.sleep(pause)
        logger.warning("%s gave up on %s", endpoint["url"], event["id"])

    async def _post(self, event: Json, endpoint: Json) -> bool:
        body = json.dumps(event, indent=2)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": self.header(endpoint["id"], body, int(time.time())),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        patience = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=patience) as session,
                session.post(endpoint["url"], data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.info("%s took no event: %s", endpoint["url"], error)
            return False
