"""Removes the data of deleted shares, verifies that, and ends expired shares."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import purge
    from opencode_cloud.kit.settings import load

    handler = purge.build(load(purge.PurgeSettings))
