"""Model calls: streamed by uvicorn, under AWS Lambda Web Adapter, in a container or beside the emulator."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from opencode_cloud.kit import aws, settings
from opencode_cloud.kit.asgi import FromEdge, Shedding

HEALTH = "/zen/v1/health"
secret = settings.text("ORIGIN_SECRET", "")


async def health(_request: Request) -> JSONResponse:
    """Say that the process serves."""
    return JSONResponse({"status": "ok"})


application = Starlette(routes=[Route(HEALTH, health)])
app = Shedding(
    FromEdge(application, lambda: aws.secret(secret), open_paths={HEALTH}),
    settings.number("GATEWAY_STREAMS", 0),
    open_paths={HEALTH},
)
