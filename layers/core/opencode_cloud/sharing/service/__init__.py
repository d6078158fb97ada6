"""The rules of sharing, free of AWS and HTTP: publishing, reading, viewing, snapshots, removal."""

from opencode_cloud.sharing.service.access import Gate, Visitor
from opencode_cloud.sharing.service.fan_out import FanOut, Farewell
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.service.publishing import Publishing
from opencode_cloud.sharing.service.reading import Document, Reading, Redirect, SharedState
from opencode_cloud.sharing.service.removal import Removal
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.service.viewing import Viewing

__all__ = [
    "Document",
    "FanOut",
    "Farewell",
    "Gate",
    "Owning",
    "Publishing",
    "Reading",
    "Redirect",
    "Removal",
    "SharedState",
    "Snapshots",
    "Viewing",
    "Visitor",
]
