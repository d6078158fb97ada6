"""Follows the stream of share records and folds them into snapshots."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import snapshot
    from opencode_cloud.kit.settings import load

    handler = snapshot.build(load(snapshot.SnapshotSettings))
