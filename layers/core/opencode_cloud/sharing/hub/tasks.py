"""Work that continues after an answer, in a hub: it replays to its own legacy sockets itself."""

from __future__ import annotations

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.hub.followers import is_local
from opencode_cloud.sharing.models import Viewer
from opencode_cloud.sharing.store import Tasks


class HubTasks(Tasks):
    """Queues deliveries and purges."""

    def replay(self, share_id: ShareId, viewer: Viewer) -> None:
        """Have the whole state of a share sent to ``viewer``. The endpoint replays to the sockets of this process."""
        if not is_local(viewer.connection_id):
            super().replay(share_id, viewer)
