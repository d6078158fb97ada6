"""The stream of the log: folds what has grown into snapshots."""

from typing import Any

from opencode_cloud.kit import settings
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.sharing.service import Snapshots
from opencode_cloud.sharing.store import ObjectStore, ShareStore
from opencode_cloud.sharing.stream import SharingStream

objects = ObjectStore(settings.text("SHARES_BUCKET"))
stream = SharingStream(Snapshots(ShareStore(settings.text("SHARES_TABLE"), objects), objects))


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Take in one batch of the stream; answers which records to send again."""
    return stream.handle(event)
