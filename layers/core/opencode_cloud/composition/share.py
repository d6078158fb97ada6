"""The function `share`: HTTP for publishers, readers, owners and admins of shares."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from opencode_cloud.audit.audit_queue import AuditQueue
from opencode_cloud.composition.services.access import access
from opencode_cloud.composition.services.hubs import hubs_of
from opencode_cloud.composition.services.shares import ShareStores
from opencode_cloud.composition.settings import (
    AccessSettings,
    AnonymousSharingSettings,
    AuditQueueUrl,
    BillingEnabled,
    DeliverFunction,
    HubsSettings,
    OriginSecret,
    PublicUrl,
    PurgeQueueUrl,
    RequestsPerMinute,
    SessionKeySecret,
    SharesSettings,
    StripeSecretArn,
    WebSocketEndpoint,
)
from opencode_cloud.kit import aws
from opencode_cloud.kit.edge import behind_edge
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.lambda_handlers import Handler, LazyHandler, frame, is_below
from opencode_cloud.kit.rate_limits import REQUESTS_PER_MINUTE
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.kit.starting import starts_ahead
from opencode_cloud.sharing.models import FUNCTION_MB, RedactionMode
from opencode_cloud.sharing.routes.clients import SharingRoutes
from opencode_cloud.sharing.routes.comment_routes import CommentRoutes
from opencode_cloud.sharing.routes.lazy_api import LazyShareApi
from opencode_cloud.sharing.routes.owner_forms import OwnerForms
from opencode_cloud.sharing.routes.readers import ReaderRoutes
from opencode_cloud.sharing.service.access import ShareAccess
from opencode_cloud.sharing.service.commenting import Commenting
from opencode_cloud.sharing.service.deletion import ShareDeletion
from opencode_cloud.sharing.service.fan_out import FanOut
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.service.publishing import Publishing
from opencode_cloud.sharing.service.reading import ShareReader
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.store import Tasks

CONSOLE = "/console/"

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access


class ShareSettings(SharesSettings, AccessSettings, AnonymousSharingSettings, HubsSettings):
    """Environment variables of the function."""

    session_key_secret: SessionKeySecret
    origin_secret: OriginSecret
    admin_secret: Annotated[str, "the ARN of the secret of the operators' API"]
    websocket_endpoint: WebSocketEndpoint
    deliver_function: DeliverFunction
    purge_queue_url: PurgeQueueUrl
    audit_queue_url: AuditQueueUrl
    public_url: PublicUrl = ""
    share_lifetime_seconds: Annotated[int, "the lifetime of anonymous shares in seconds, 0 for no end"] = 0
    create_limit_per_minute: Annotated[int, "the number of shares that an address may create in a minute"] = 0
    billing: BillingEnabled = False
    stripe_secret: StripeSecretArn = ""
    anonymous_sharing: Annotated[bool, "1 to allow shares without a credential, else 0"] = True
    requests_per_minute: RequestsPerMinute = REQUESTS_PER_MINUTE


def build(settings: ShareSettings) -> Handler:
    """Return the handler."""
    if starts_ahead():
        prepare_rare_parts()
    stores, allowed = ShareStores.over(settings), access(settings)
    store = stores.shares
    tasks = Tasks(settings.deliver_function, settings.purge_queue_url)
    gate = ShareAccess(store, allowed)
    hubs = hubs_of(settings, store)
    fan_out = FanOut(store, sockets(settings.websocket_endpoint), tasks, gate, hubs)
    owning = Owning(store, allowed, fan_out, AuditQueue(settings.audit_queue_url))
    publishing = publishing_of(Publishing, settings, stores, fan_out, gate, owning)
    sharing = routes(settings, stores, SharingServices(allowed, gate, fan_out, tasks, owning, publishing))
    deletion = ShareDeletion(store, stores.objects, fan_out, tasks)
    pages = behind_edge(
        LazyHandler(lambda: share_pages(settings, allowed, owning, deletion)),
        lambda: aws.secret(settings.origin_secret),
    )
    return frame(lambda event, context: (pages if is_below(CONSOLE, event) else sharing)(event, context))


def share_pages(settings: ShareSettings, allowed: Access, owning: Owning, deletion: ShareDeletion) -> Handler:
    """Import and build the pages, which no sync needs."""
    from opencode_cloud.composition import share_pages as module

    return module.share_pages(settings, allowed, owning, deletion)


def prepare_rare_parts() -> None:
    """Import and make the parts that otherwise the first publisher and the first reader would wait for.

    They are the cipher of sessions, the rules for secrets, the renderers and the compiled templates.
    """
    import_module("cryptography.hazmat.primitives.ciphers.aead")
    from opencode_cloud.sharing.redaction.rules import scanner
    from opencode_cloud.sharing.routes import reader_pages

    scanner()
    reader_pages.pages.prepare()


class SharingServices(msgspec.Struct, frozen=True):
    """The services behind the routes."""

    access: Access
    gate: ShareAccess
    fan_out: FanOut
    tasks: Tasks
    owning: Owning
    publishing: Publishing


def routes(
    settings: ShareSettings, stores: ShareStores, services: SharingServices, *, upload_mb: int = FUNCTION_MB
) -> Handler:
    """Return the handler of all HTTP routes of sharing, without the frame of a function.

    ``upload_mb`` is the size of the largest upload, in megabytes.
    """
    store, objects = stores.shares, stores.objects
    reading = ShareReader(store, objects, Snapshots(store, objects), services.gate)
    deletion = ShareDeletion(store, objects, services.fan_out, services.tasks)
    url, app = settings.public_url, HttpRoutes()
    SharingRoutes(
        services.publishing,
        reading,
        deletion,
        services.owning,
        services.tasks,
        services.access,
        lambda: aws.secret(settings.admin_secret),
        public_url=url,
    ).mount(app)

    def key() -> str:
        return aws.secret(settings.session_key_secret)

    owner_forms = OwnerForms(services.owning, deletion, services.tasks, store, services.access, key)
    audit = AuditQueue(settings.audit_queue_url)
    commenting = Commenting(store, reading, services.gate, services.access, services.fan_out, audit, key)
    comment_routes = CommentRoutes(commenting, key)
    comment_routes.mount(app)
    ReaderRoutes(reading, services.gate, owner_forms, comment_routes, public_url=url, upload_mb=upload_mb).mount(app)
    api = LazyShareApi(
        services.owning,
        deletion,
        services.tasks,
        services.access,
        key,
        sessions_table=settings.sessions_table,
        public_url=url,
        requests_per_minute=settings.requests_per_minute,
    )
    return behind_edge(
        lambda event, context: api.answer(event, context) or app.answer(event, context),
        lambda: aws.secret(settings.origin_secret),
    )


AnyPublishing = TypeVar("AnyPublishing", bound=Publishing)


def publishing_of(
    kind: type[AnyPublishing],
    settings: ShareSettings,
    stores: ShareStores,
    fan_out: FanOut,
    gate: ShareAccess,
    owning: Owning,
) -> AnyPublishing:
    """Return the service that publishes, of class ``kind``."""
    return kind(
        stores.shares,
        fan_out,
        gate,
        owning,
        lambda: aws.secret(settings.session_key_secret),
        lifetime_seconds=settings.share_lifetime_seconds,
        creates_per_minute=settings.create_limit_per_minute,
        anonymous=settings.anonymous_sharing,
        limits=settings.limits,
        redaction=RedactionMode(settings.anonymous_redaction),
    )
