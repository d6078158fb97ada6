"""The function `gateway`: model calls as an ASGI application, without SQL, on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from opencode_cloud.access.service.inference import InferenceAccess
from opencode_cloud.access.store import KeyUses
from opencode_cloud.access.store.inference import InferenceStore
from opencode_cloud.audit.audit_queue import AuditQueue
from opencode_cloud.budgets.service import Reservations
from opencode_cloud.budgets.store import CounterStore
from opencode_cloud.catalogue.service.reading import CatalogueReader
from opencode_cloud.catalogue.store.current import AsyncCatalogueStore
from opencode_cloud.composition.services.access import access_tokens
from opencode_cloud.composition.settings import (
    AccessSettings,
    AuditQueueUrl,
    BillingEnabled,
    BudgetsTable,
    CredentialsKey,
    PrivateProviders,
    UsageTable,
)
from opencode_cloud.contracts.ids import KeyId
from opencode_cloud.gateway.call_metrics import record_call
from opencode_cloud.gateway.observing import observe
from opencode_cloud.gateway.routes import Gateway
from opencode_cloud.gateway.service import Calls, Health, token_bounds
from opencode_cloud.gateway.service.admission import CallAdmission
from opencode_cloud.gateway.service.anonymous import Anonymous
from opencode_cloud.gateway.service.refusals import Refusals
from opencode_cloud.gateway.store import SharedHealth, UpstreamKeys, Upstreams
from opencode_cloud.gateway.tracing import span_of
from opencode_cloud.kit import aws, event_loop
from opencode_cloud.kit.asgi_middleware import EdgeOnly, LoadShedding
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.otlp_metrics import MetricExporter
from opencode_cloud.kit.otlp_spans import SpanExporter
from opencode_cloud.kit.starting import spare_present_objects
from opencode_cloud.kit.tls import trusting
from opencode_cloud.kit.xray import is_xray

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.contracts.audit import Target
    from opencode_cloud.contracts.usage import UsageEvent
    from opencode_cloud.gateway.models import Incoming, UpstreamTarget
    from opencode_cloud.gateway.service.calls import UpstreamResponse

LONGEST_BODY = 6 * 1024 * 1024
"""The largest request in bytes, which is Lambda's limit."""
ANONYMOUS_REQUESTS = 50
HEALTH = "/zen/v1/health"


class GatewaySettings(AccessSettings):
    """Environment variables of the function, or of the container."""

    budgets_table: BudgetsTable
    usage_table: UsageTable
    audit_queue_url: AuditQueueUrl
    credentials_key: CredentialsKey
    upstream_keys_secret: Annotated[str, "the ARN of the secret of the deployment's own provider keys"]
    origin_secret: Annotated[str, "the ARN of the secret that the CDN sends"]
    anonymous_models: Annotated[bool, "1 to serve free models without a credential, else 0"] = False
    anonymous_requests_per_day: Annotated[int, "the number of anonymous calls a day for each address"] = (
        ANONYMOUS_REQUESTS
    )
    private_providers: PrivateProviders = False
    billing: BillingEnabled = False
    longest_body: Annotated[int, "the size of the longest request body in bytes"] = LONGEST_BODY
    otlp_endpoint: Annotated[str, "the URL of an OpenTelemetry collector or X-Ray for spans and metrics, or empty"] = ""
    otlp_environment: Annotated[str, "the name of this deployment in spans"] = "local"
    gateway_streams: Annotated[int, "the number of calls that a process serves at one time, 0 for no limit"] = 0


class _Uses:
    """Notes in the background which keys are used."""

    def __init__(self, uses: KeyUses) -> None:
        self._uses = uses
        self._noting: set[asyncio.Task[None]] = set()

    def note(self, key_id: KeyId) -> None:
        if not self._uses.is_due(key_id):
            return  # a thread for each call would take a tenth of its processor time
        task = asyncio.create_task(self._note(key_id))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _note(self, key_id: KeyId) -> None:
        try:
            await asyncio.to_thread(self._uses.note, key_id)
        except Exception:  # noqa: BLE001 - a date in a list is not worth a call
            logger.exception("the use of a key could not be noted")


def build(settings: GatewaySettings) -> ASGIApp:
    """Return the gateway as an ASGI application that answers only the CDN."""
    edge = EdgeOnly(application(settings), lambda: aws.secret(settings.origin_secret), open_paths={HEALTH})
    return LoadShedding(edge, settings.gateway_streams, open_paths={HEALTH})


def application(settings: GatewaySettings) -> ASGIApp:
    """Return the gateway as an ASGI application."""
    dynamodb = AsyncDynamoDB()
    tokens = access_tokens(settings)
    shared = SharedHealth(dynamodb, settings.budgets_table, lambda owner, rests: health.update_shared(owner, rests))
    health = Health(publish=shared.publish)
    upstreams = Upstreams(private=settings.private_providers)
    catalogue = CatalogueReader(AsyncCatalogueStore(dynamodb, settings.access_table))
    keys = UpstreamKeys(settings.upstream_keys_secret, settings.credentials_key)
    audit = AuditQueue(settings.audit_queue_url)

    async def record(actor: Actor, action: str, target: Target, facts: dict[str, Any]) -> None:
        await asyncio.to_thread(audit.record, actor, action, target, after=facts)

    refusals = Refusals(record)
    admission = CallAdmission(
        InferenceAccess(InferenceStore(dynamodb, settings.access_table, settings.sessions_table), tokens.verify),
        catalogue,
        keys,
        health,
        Anonymous(
            allowed=settings.anonymous_models,
            requests_a_day=settings.anonymous_requests_per_day,
        ),
        refusals,
        shared.refresh,
        prepaid=settings.billing,
    )
    uses = _Uses(KeyUses(settings.sessions_table))

    def open_(
        target: UpstreamTarget, body: bytes, passed_on: Mapping[str, str], stream: bool
    ) -> Awaitable[UpstreamResponse]:
        return upstreams.open(target, body, passed_on, stream=stream)

    def observer(event: UsageEvent, *, settled: bool) -> None:
        observe(event, settled=settled)
        if meter is not None:
            record_call(meter, event)
        if event.key_id:
            uses.note(event.key_id)

    budgets = Reservations(CounterStore(dynamodb, settings.budgets_table, settings.usage_table))
    spans, meter = _exporters(settings)

    def trace(event: UsageEvent, incoming: Incoming) -> None:
        if spans is not None and incoming.span is not None:
            spans.add(span_of(event, incoming.span, "embeddings" if incoming.embedding else "chat"))

    calls = Calls(admission, budgets, health, open_, observer, refusals, trace)
    gateway = Gateway(calls, admission, longest_body=settings.longest_body, traced=spans is not None)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncGenerator[None]:
        # Only some calls need the tokenizer, which takes 70 ms, so the others must not wait for it.
        warming = asyncio.create_task(_warm_up(asyncio.to_thread(token_bounds.warm_up)))
        trusted = asyncio.to_thread(trusting)
        await _warm_up(trusted, asyncio.to_thread(tokens.key_set), catalogue.current(), keys.platform())
        spare_present_objects()
        watching = asyncio.create_task(event_loop.watch(event_loop.log_step))
        exporting = [asyncio.create_task(exporter.run()) for exporter in (spans, meter) if exporter]
        try:
            yield
        finally:
            watching.cancel()
            await warming
            await calls.settled()
            for task in exporting:
                task.cancel()
            await asyncio.gather(*exporting, return_exceptions=True)
            await upstreams.close()
            await dynamodb.close()

    return gateway.app(lifespan)


def _exporters(settings: GatewaySettings) -> tuple[SpanExporter | None, MetricExporter | None]:
    endpoint, environment = settings.otlp_endpoint, settings.otlp_environment
    if not endpoint:
        return None, None
    # X-Ray takes spans only. CloudWatch has the metrics from the log.
    meter = None if is_xray(endpoint) else MetricExporter(endpoint, "gateway", environment)
    return SpanExporter(endpoint, "gateway", environment), meter


async def _warm_up(*work: Awaitable[object]) -> None:
    """Do the slow steps of a first call in advance. The first call repeats a failed step and reports its error."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            logger.warning("the gateway starts cold", extra={"reason": type(result).__name__})
