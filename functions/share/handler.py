"""HTTP: clients publish here, readers read, owners and admins govern."""

from typing import Any

from opencode_cloud.audit.queue import AuditQueue
from opencode_cloud.composition import data_plane
from opencode_cloud.kit import aws, settings
from opencode_cloud.kit.app import answer, http_app
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.sharing.rendering import pages
from opencode_cloud.sharing.routes.clients import SharingRoutes
from opencode_cloud.sharing.routes.lazy_api import LazyShareApi
from opencode_cloud.sharing.routes.readers import ReaderRoutes
from opencode_cloud.sharing.service import FanOut, Gate, Owning, Publishing, Reading, Removal, Snapshots
from opencode_cloud.sharing.store import ObjectStore, ShareStore, Tasks

url, sessions = settings.text("PUBLIC_URL", ""), settings.text("SESSIONS_TABLE")
key, admin = settings.text("SESSION_KEY_SECRET"), settings.text("ADMIN_SECRET")
objects = ObjectStore(settings.text("SHARES_BUCKET"))
store = ShareStore(settings.text("SHARES_TABLE"), objects)
tasks = Tasks(settings.text("DELIVER_FUNCTION"), settings.text("PURGE_QUEUE_URL"))
access = data_plane.access()
gate = Gate(store, access)
fan_out = FanOut(store, sockets(settings.text("WEBSOCKET_ENDPOINT")), tasks, gate)
owning = Owning(store, access, fan_out, AuditQueue(settings.text("AUDIT_QUEUE_URL")))
publishing = Publishing(
    store,
    fan_out,
    gate,
    owning,
    lambda: aws.secret(key),
    lifetime_seconds=settings.number("SHARE_LIFETIME_SECONDS", 0),
    creates_per_minute=settings.number("CREATE_LIMIT_PER_MINUTE", 0),
    anonymous=settings.number("ANONYMOUS_SHARING", 1) == 1,
)
reading = Reading(store, objects, Snapshots(store, objects), gate)
removal = Removal(store, objects, fan_out, tasks)
app = http_app()
pages.prepare()
routes = SharingRoutes(publishing, reading, removal, owning, access, lambda: aws.secret(admin), public_url=url)
routes.mount(app)
ReaderRoutes(reading, gate, public_url=url).mount(app)
management = LazyShareApi(owning, removal, access, lambda: aws.secret(key), sessions_table=sessions, public_url=url)


@frame
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answer one HTTP request."""
    return management.answer(event, context) or answer(app, event, context)
