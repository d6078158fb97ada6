"""Sharing with its sockets in one process: served by uvicorn, in a container or beside the emulator."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import hub
    from opencode_cloud.kit.settings import load

    app = hub.build(load(hub.HubSettings))
