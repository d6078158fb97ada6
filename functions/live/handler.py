"""WebSockets, on which viewers connect, resume and ping, and publishers may sync."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import live
    from opencode_cloud.kit.settings import load

    handler = live.build(load(live.LiveSettings))
