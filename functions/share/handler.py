"""HTTP for publishers, readers, owners and admins of shares."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import share
    from opencode_cloud.kit.settings import load

    handler = share.build(load(share.ShareSettings))
