"""HTTP: clients publish here, readers read."""

from typing import Any

from opencode_cloud.kit import aws, settings
from opencode_cloud.kit.app import answer, http_app
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.sockets import sockets
from opencode_cloud.sharing import pages
from opencode_cloud.sharing.routes import SharingRoutes
from opencode_cloud.sharing.service import FanOut, Publishing, Reading, Removal, Snapshots
from opencode_cloud.sharing.store import ObjectStore, ShareStore, Tasks

objects = ObjectStore(settings.text("SHARES_BUCKET"))
store = ShareStore(settings.text("SHARES_TABLE"), objects)
tasks = Tasks(settings.text("DELIVER_FUNCTION"), settings.text("PURGE_QUEUE_URL"))
fan_out = FanOut(store, sockets(settings.text("WEBSOCKET_ENDPOINT")), tasks)
publishing = Publishing(
    store,
    fan_out,
    lambda: aws.secret(settings.text("SESSION_KEY_SECRET")),
    lifetime_seconds=settings.number("SHARE_LIFETIME_SECONDS", 0),
    creates_per_minute=settings.number("CREATE_LIMIT_PER_MINUTE", 0),
)
app = http_app()
pages.prepare()
SharingRoutes(
    publishing,
    Reading(store, objects, Snapshots(store, objects)),
    Removal(store, objects, fan_out, tasks),
    admin_secret=lambda: aws.secret(settings.text("ADMIN_SECRET")),
    public_url=settings.text("PUBLIC_URL", ""),
).mount(app)


@frame
def handler(event: dict[str, Any], context: Any) -> Any:
    """Answer one HTTP request."""
    return answer(app, event, context)
