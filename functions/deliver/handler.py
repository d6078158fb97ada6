"""Deliveries that outlast a response, such as a legacy replay or a push to many viewers."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import deliver
    from opencode_cloud.kit.settings import load

    handler = deliver.build(load(deliver.DeliverSettings))
