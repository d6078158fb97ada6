"""The rules of sharing, free of AWS and HTTP: publishing, reading, viewing, snapshots, deletion."""

from opencode_cloud.sharing.service.access import ShareAccess, Visitor
from opencode_cloud.sharing.service.deletion import ShareDeletion
from opencode_cloud.sharing.service.fan_out import FanOut, ViewerSockets
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.service.publishing import Publishing
from opencode_cloud.sharing.service.reading import Redirect, ShareDocument, SharedState, ShareReader
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.service.viewing import Viewing

__all__ = [
    "FanOut",
    "Owning",
    "Publishing",
    "Redirect",
    "ShareAccess",
    "ShareDeletion",
    "ShareDocument",
    "ShareReader",
    "SharedState",
    "Snapshots",
    "ViewerSockets",
    "Viewing",
    "Visitor",
]
