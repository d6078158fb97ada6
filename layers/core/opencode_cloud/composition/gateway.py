"""Builds the model gateway from the environment: no SQL, one event loop, everything made once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from opencode_cloud.access.service.inference import InferenceAccess
from opencode_cloud.access.store import KeyUses
from opencode_cloud.access.store.inference import InferenceStore
from opencode_cloud.budgets.service import Budgets
from opencode_cloud.budgets.store import CounterStore
from opencode_cloud.catalogue.service import CatalogueReader
from opencode_cloud.catalogue.store.current import AsyncCatalogueStore
from opencode_cloud.gateway.observing import observe
from opencode_cloud.gateway.routes import Gateway
from opencode_cloud.gateway.service import Calls, Health, token_bounds
from opencode_cloud.gateway.service.admission import CallAdmission
from opencode_cloud.gateway.service.anonymous import Anonymous
from opencode_cloud.gateway.store import SharedHealth, UpstreamKeys, Upstreams
from opencode_cloud.identity.service.tokens import AccessTokens
from opencode_cloud.identity.store.keys import SigningKeys
from opencode_cloud.kit import settings
from opencode_cloud.kit.dynamodb import DynamoDB
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from opencode_cloud.contracts.usage import UsageEvent
    from opencode_cloud.gateway.models import UpstreamTarget
    from opencode_cloud.gateway.service.calls import UpstreamResponse

LONGEST_BODY = 6 * 1024 * 1024
"""Bytes; Lambda takes no more."""
ANONYMOUS_REQUESTS = 50


class _Uses:
    """Notes in the background which keys are used."""

    def __init__(self, uses: KeyUses) -> None:
        self._uses = uses
        self._noting: set[asyncio.Task[None]] = set()

    def note(self, key: str) -> None:
        task = asyncio.create_task(self._note(key))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _note(self, key: str) -> None:
        try:
            await asyncio.to_thread(self._uses.note, key)
        except Exception:  # noqa: BLE001 - a date in a list is not worth a call
            logger.exception("the use of a key could not be noted")


def application() -> ASGIApp:
    """Return the gateway as an ASGI application."""
    sessions = settings.text("SESSIONS_TABLE")
    dynamodb = DynamoDB()
    tokens = AccessTokens(SigningKeys(settings.text("SIGNING_KEYS").split(","), sessions))
    shared = SharedHealth(dynamodb, settings.text("BUDGETS_TABLE"), lambda rests: health.heard(rests))
    health = Health(tell=shared.tell)
    upstreams = Upstreams(private=settings.number("PRIVATE_PROVIDERS", 0) == 1)
    catalogue = CatalogueReader(AsyncCatalogueStore(dynamodb, settings.text("ACCESS_TABLE")))
    keys = UpstreamKeys(settings.text("UPSTREAM_KEYS_SECRET"), settings.text("CREDENTIALS_KEY"))
    admission = CallAdmission(
        InferenceAccess(InferenceStore(dynamodb, settings.text("ACCESS_TABLE"), sessions), tokens.verify),
        catalogue,
        keys,
        health,
        Anonymous(
            allowed=settings.number("ANONYMOUS_MODELS", 0) == 1,
            requests_a_day=settings.number("ANONYMOUS_REQUESTS_PER_DAY", ANONYMOUS_REQUESTS),
        ),
        shared.look,
    )
    uses = _Uses(KeyUses(sessions))

    def open_(
        target: UpstreamTarget, body: bytes, passed_on: Mapping[str, str], stream: bool
    ) -> Awaitable[UpstreamResponse]:
        return upstreams.open(target, body, passed_on, stream=stream)

    def told(event: UsageEvent, *, settled: bool) -> None:
        observe(event, settled=settled)
        if event.key:
            uses.note(event.key)

    budgets = Budgets(CounterStore(dynamodb, settings.text("BUDGETS_TABLE"), settings.text("USAGE_TABLE")))
    calls = Calls(admission, budgets, health, open_, told)
    gateway = Gateway(calls, admission, longest_body=settings.number("LONGEST_BODY", LONGEST_BODY))

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncGenerator[None]:
        # The tokenizer takes over half a second, and only some calls need it: nobody else is to wait for it.
        warming = asyncio.create_task(_warm_up(asyncio.to_thread(token_bounds.warm_up)))
        await _warm_up(asyncio.to_thread(tokens.key_set), catalogue.current(), keys.platform())
        # What is there by now stays: the collector need not look through it again while streams wait.
        gc.collect()
        gc.freeze()
        try:
            yield
        finally:
            await warming
            await calls.settled()
            await upstreams.close()
            await dynamodb.close()

    return gateway.app(lifespan)


async def _warm_up(*work: Awaitable[object]) -> None:
    """Do what the first call would else wait for; what fails now is tried again by that call, which says so."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            logger.warning("the gateway starts cold", extra={"reason": type(result).__name__})
