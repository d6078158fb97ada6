"""The entrance of `/api/v1`: authenticate a request, read its body, validate both, in this order."""

# Powertools leaves parts of its types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownParameterType=false

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler.middlewares.openapi_validation import OpenAPIRequestValidationMiddleware

from opencode_cloud.kit import foreign_json, http_events
from opencode_cloud.kit.errors import BadRequest, UnsupportedMediaType

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

Enter = Callable[[Any], None]


class Entrance(OpenAPIRequestValidationMiddleware):
    """Takes the place of Powertools' validation, which runs before all other middlewares of a route.

    Authentication comes first, so that an anonymous caller learns nothing about the form of a request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._enter: dict[tuple[str, str], Enter] = {}

    def guard(self, method: str, rule: str, enter: Enter) -> None:
        """Call ``enter`` first for each request to a route. It raises what refuses the request."""
        self._enter[method, rule] = enter

    def handler(self, app: Any, next_middleware: Any) -> Response[Any]:
        """Admit one request and validate it."""
        route = app.context["_route"]
        enter = self._enter.get((route.method, route.path))
        if enter:
            enter(app)
        return super().handler(app, next_middleware)

    def _get_body(self, app: Any) -> Any:
        """Return the decoded body.

        Raises ``unsupported_media_type`` (415) for a body that says it is not JSON, ``invalid_body`` (400) for one that
        is not JSON.
        """
        event: http_events.Event = app.current_event.raw_event
        content_type = http_events.header(event, "content-type").partition(";")[0].strip().lower()
        if content_type and not _is_json(content_type):
            raise UnsupportedMediaType(
                "unsupported_media_type", f"Send the body as application/json, not as {content_type[:100]}."
            )
        body = http_events.raw_body(event)
        try:
            return foreign_json.decode(body, object) if body.strip() else {}
        except ValueError as error:
            raise BadRequest("invalid_body", f"The body must be JSON: {error}.") from error


def _is_json(content_type: str) -> bool:
    kind, _, subtype = content_type.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))
