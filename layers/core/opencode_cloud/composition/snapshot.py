"""The function `snapshot`: follows the stream of share records and folds them into snapshots."""

from __future__ import annotations

from opencode_cloud.composition.services.shares import ShareStores
from opencode_cloud.composition.settings import SharesSettings
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.stream import SharingStream


class SnapshotSettings(SharesSettings):
    """Environment variables of the function."""


def build(settings: SnapshotSettings) -> Handler:
    """Return the handler."""
    stores = ShareStores.over(settings)
    stream = SharingStream(Snapshots(stores.shares, stores.objects))
    return frame(lambda event, _context: stream.handle(event))
