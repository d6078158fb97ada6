"""Publishes the outbox, records audit entries of other functions, and runs the daily jobs."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import relay
    from opencode_cloud.kit.settings import load

    handler = relay.build(load(relay.RelaySettings))
