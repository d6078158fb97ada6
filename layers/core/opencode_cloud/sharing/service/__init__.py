"""The rules of sharing, free of AWS and HTTP: publishing, reading, viewing, snapshots, removal."""

from opencode_cloud.sharing.service.access import ShareAccess, Visitor
from opencode_cloud.sharing.service.fan_out import FanOut, Farewell
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.service.publishing import Publishing
from opencode_cloud.sharing.service.reading import Redirect, ShareDocument, SharedState, ShareReader
from opencode_cloud.sharing.service.removal import Removal
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.service.viewing import Viewing

__all__ = [
    "FanOut",
    "Farewell",
    "Owning",
    "Publishing",
    "Redirect",
    "Removal",
    "ShareAccess",
    "ShareDocument",
    "ShareReader",
    "SharedState",
    "Snapshots",
    "Viewing",
    "Visitor",
]
