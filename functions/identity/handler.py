"""Logs clients in and answers their first requests; without SQL, so it needs no database."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import identity
    from opencode_cloud.kit.settings import load

    handler = identity.build(load(identity.IdentitySettings))
