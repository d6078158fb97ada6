"""Model calls: streamed by uvicorn, under AWS Lambda Web Adapter, in a container or beside the emulator."""

from opencode_cloud.composition.gateway import application
from opencode_cloud.kit import aws, settings
from opencode_cloud.kit.asgi import FromEdge, Shedding

HEALTH = "/zen/v1/health"
secret = settings.text("ORIGIN_SECRET", "")
app = Shedding(
    FromEdge(application(), lambda: aws.secret(secret), open_paths={HEALTH}),
    settings.number("GATEWAY_STREAMS", 0),
    open_paths={HEALTH},
)
