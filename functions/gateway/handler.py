"""Model calls: streamed by uvicorn, under AWS Lambda Web Adapter, in a container or beside the emulator."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import gateway
    from opencode_cloud.kit.settings import load

    app = gateway.build(load(gateway.GatewaySettings))
