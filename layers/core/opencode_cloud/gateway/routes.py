"""The gateway's HTTP as an ASGI application: reads paths and headers, writes streams and errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from opencode_cloud.access.service import AccessRequest
from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.access import WORKSPACE_HEADER
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.gateway import addresses, listing
from opencode_cloud.gateway.attribution import agent_of, naming_projects
from opencode_cloud.gateway.formats import (
    WIRE_FORMATS,
    EmbeddingMethod,
    PathTarget,
    WireFormat,
    answer_error,
    embedding_format,
    final_refusal,
)
from opencode_cloud.gateway.model_names import find_model
from opencode_cloud.gateway.models import BrokenOff, Incoming, UpstreamRefused, model_not_found
from opencode_cloud.gateway.observing import refusal
from opencode_cloud.gateway.tracing import continued
from opencode_cloud.kit.clock import now_ms
from opencode_cloud.kit.errors import (
    BadRequest,
    MethodNotAllowed,
    PayloadTooLarge,
    ServiceError,
    TooManyRequests,
    unexpected,
)
from opencode_cloud.kit.http_headers import bearer_of
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.lambda_handlers import trace_of
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from opencode_cloud.catalogue.models import Catalogue, Model
    from opencode_cloud.gateway.service import Calls
    from opencode_cloud.gateway.service.admission import CallAdmission

CORS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "x-request-id, request-id, x-opencode-upstream, x-opencode-dropped, "
    "x-opencode-model, x-opencode-fallback, retry-after",
}
PREFLIGHT = {
    **CORS,
    "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
    "access-control-allow-headers": "*, Authorization, Content-Type, x-api-key, x-goog-api-key, api-key, "
    "anthropic-version, anthropic-beta, x-org-id, traceparent",
    "access-control-max-age": "86400",
}
TRACING = ("traceparent", "tracestate")
"""Headers of W3C Trace Context, which continue the client's trace at the upstream."""
PASSED_ON = ("anthropic-version", "anthropic-beta", "openai-beta")
"""Headers of the client that an upstream of the same format gets. No other header of a client leaves the gateway."""
SESSION_HEADERS = (
    *("x-opencode-session", "x-opencode-session-id", "x-session-affinity", "x-session-id"),
    *("x-claude-code-session-id", "session-id", "session_id"),
)
"""Headers in which agents name their session, in order of precedence; the last two are Codex's."""
KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")
"""Headers in which SDKs send a key in place of a bearer."""
METADATA = {"client": "x-opencode-client", "user_agent": "user-agent"}
LONGEST_METADATA = 200
"""The longest value of a header in characters."""
_INTERNAL = "The gateway failed. Try again. The header `x-request-id` names this request in the logs."
_CALLING = ["POST", "OPTIONS"]


class Gateway:
    """Translates between HTTP and the rules."""

    def __init__(
        self,
        calls: Calls,
        admission: CallAdmission,
        *,
        longest_body: int,
        traced: bool = False,
    ) -> None:
        """Serve ``calls``. ``admission`` lists models for a caller. A request may have ``longest_body`` bytes.

        If calls are ``traced``, the upstream continues the trace at the call's own span.
        """
        self._calls = calls
        self._admission = admission
        self._longest_body = longest_body
        self._traced = traced

    def app(self, lifespan: Any) -> ASGIApp:
        """Return the application."""
        reading = ["GET", "HEAD", "OPTIONS"]
        routes: list[Route] = [Route("/zen/v1/health", self._health, methods=["GET"])]
        routes += [Route(path, self._base, methods=reading) for path in addresses.BASES]
        # Embeddings and counts come first: their addresses look like calls of a model.
        routes += [_calling(path, partial(self.embed, method)) for path, method in addresses.EMBEDDINGS]
        for wire in WIRE_FORMATS.values():
            routes += [_calling(path, partial(self.count, wire)) for path in wire.count_paths]
            routes += [_calling(path, partial(self.call, wire)) for path in wire.client_paths]
        for path in (*addresses.LISTS, *addresses.GOOGLE_LISTS):
            routes += [Route(_spanning(each), self._models, methods=reading) for each in (path, path + "/{model}")]
        errors: Any = {HTTPStatus.NOT_FOUND: _route_not_found, HTTPStatus.METHOD_NOT_ALLOWED: _method_not_allowed}
        return Starlette(routes=routes, lifespan=lifespan, exception_handlers=errors)

    async def call(self, wire: WireFormat, request: Request, send: Send) -> None:
        """Answer one model call."""

        async def incoming(correlation: str) -> Incoming:
            target = wire.read_path(str(request.path_params["call"])) if wire.read_path else None
            return await self._incoming(request, wire.name, correlation, target)

        await self._answer(request, wire.name, send, incoming)

    async def embed(self, method: EmbeddingMethod, request: Request, send: Send) -> None:
        """Answer one request for embeddings."""
        format_ = embedding_format(method)

        async def incoming(correlation: str) -> Incoming:
            target = PathTarget(str(request.path_params.get("model", "")), stream=False)
            return msgspec.structs.replace(
                await self._incoming(request, format_, correlation, target), embedding=method
            )

        await self._answer(request, format_, send, incoming)

    async def _answer(
        self, request: Request, format_: Format, send: Send, read: Callable[[str], Awaitable[Incoming]]
    ) -> None:
        """Answer a metered request. ``read`` returns it, for a correlation id."""
        correlation = _correlation(request)
        sink = _AsgiSink(send, correlation)
        try:
            incoming = await read(correlation)
            await self._until_disconnect(request, self._calls.serve(incoming, sink))
        except ServiceError as error:
            refusal(error.code, int(error.status), correlation)
            await _refuse(sink, format_, error, final=_is_opencode(request.headers))
        except ClientDisconnect:
            return
        except BrokenOff:
            # The server then cuts the connection before the end of the body, so the client sees an incomplete answer.
            raise
        except Exception:
            logger.exception("a call failed", extra={"correlation_id": correlation})
            if sink.begun:
                raise
            await _refuse(sink, format_, unexpected(_INTERNAL))
        else:
            await sink.end()

    async def count(self, wire: WireFormat, request: Request, send: Send) -> None:
        """Answer how many tokens a prompt has. It costs nothing."""
        correlation = _correlation(request)
        sink = _AsgiSink(send, correlation)
        try:
            model = request.path_params.get("model", "")
            incoming = await self._incoming(request, wire.name, correlation, PathTarget(model, stream=False))
            tokens = await self._admission.count(incoming)
        except ServiceError as error:
            refusal(error.code, int(error.status), correlation)
            await _refuse(sink, wire.name, error)
            return
        await sink.begin(HTTPStatus.OK, {"content-type": "application/json"})
        await sink.send(msgspec.json.encode(wire.write_count(tokens)))
        await sink.end()

    async def _until_disconnect(self, request: Request, work: Any) -> None:
        """Execute ``work``; cancel it if the client disconnects. Cancelled work settles itself."""
        task = asyncio.ensure_future(work)
        disconnect = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({task, disconnect}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                raise ClientDisconnect
            task.result()
        finally:
            disconnect.cancel()
            if not task.done():
                task.cancel()

    async def _incoming(
        self, request: Request, format_: Format, correlation: str, path_target: PathTarget | None
    ) -> Incoming:
        headers = request.headers
        sender = self._sender(request, correlation)
        body = await self._body(request)
        tracing = {name: headers[name] for name in TRACING if name in headers}
        span = continued(tracing.get("traceparent", "")) if self._traced else None
        return Incoming(
            format=format_,
            body=body,
            request=sender,
            workspace_id=WorkspaceId(headers.get(WORKSPACE_HEADER, "")),
            path_target=path_target,
            session=next((headers[name] for name in SESSION_HEADERS if headers.get(name)), ""),
            client_request=headers.get("x-opencode-request", ""),
            opencode=_is_opencode(headers),
            agent=agent_of(headers),
            project_headers=naming_projects(headers),
            tracing=tracing | ({"traceparent": span.traceparent} if span else {}),
            span=span if span and span.sampled else None,
            passed_on={name: headers[name] for name in PASSED_ON if name in headers},
            metadata=_metadata(request, sender.address),
            at=now_ms(),
        )

    def _sender(self, request: Request, correlation: str) -> AccessRequest:
        return AccessRequest(bearer=_credential(request.headers), address=_address(request), correlation_id=correlation)

    async def _body(self, request: Request) -> bytes:
        if request.headers.get("content-encoding", "identity") != "identity":
            raise BadRequest("content_encoding", "Send the body without Content-Encoding.")
        limit = self._longest_body
        too_large = PayloadTooLarge("body_too_large", f"A request may have at most {limit} bytes.")
        if int(request.headers.get("content-length") or 0) > limit:
            raise too_large
        parts: list[bytes] = []
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise too_large
            parts.append(part)
        return b"".join(parts)

    async def _models(self, request: Request) -> Response:
        """Answer the list of models, or one of them, in the form of the vendor's client."""
        if request.method == "OPTIONS":
            return _preflight()
        correlation, path = _correlation(request), request.url.path
        try:
            addresses.check_model(str(request.path_params.get("model", "")))
            catalogue, permitted = await self._admission.models(self._reading(request, correlation))
            document = _document(path, request, catalogue, permitted)
        except ServiceError as error:
            return _error_response(_format_of(request), error, correlation)
        body = msgspec.json.encode(document)
        return Response(body, headers={**CORS, "content-type": "application/json", "cache-control": "no-store"})

    def _reading(self, request: Request, correlation: str) -> Incoming:
        return Incoming(
            format=addresses.DEFAULT_FORMAT,
            body=b"",
            request=self._sender(request, correlation),
            workspace_id=WorkspaceId(request.headers.get(WORKSPACE_HEADER, "")),
            tracing={},
            passed_on={},
            metadata={},
            at=now_ms(),
        )

    async def _base(self, request: Request) -> Response:
        return _preflight() if request.method == "OPTIONS" else await self._health(request)

    async def _health(self, _request: Request) -> Response:
        return Response(b'{"status":"ok"}', headers={**CORS, "content-type": "application/json"})


class _Endpoint:
    """One path, as an ASGI application of its own, so that it can stream."""

    def __init__(self, answer: Callable[[Request, Send], Awaitable[None]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method == "OPTIONS":
            await _preflight()(scope, receive, send)
            return
        await self._answer(request, send)


class _ModelName(Convertor[str]):
    """A name in a path, with slashes: routers and vendors write theirs before the name, such as `openai/gpt-5`."""

    regex = "[^/](?:.*[^/])?"

    def convert(self, value: str) -> str:
        """Return the name as it is in the decoded path."""
        return value

    def to_string(self, value: str) -> str:
        """Return the name for a path."""
        return value


register_url_convertor("model_name", _ModelName())


def _spanning(path: str) -> str:
    """Return a path of the tables whose parameter may have slashes."""
    return path.replace("{model}", "{model:model_name}").replace("{call}", "{call:model_name}")


def _calling(path: str, answer: Callable[[Request, Send], Awaitable[None]]) -> Route:
    return Route(_spanning(path), _Endpoint(answer), methods=_CALLING)


class _AsgiSink:
    """The client's connection."""

    def __init__(self, send: Send, correlation: str) -> None:
        self._send = send
        self._correlation = correlation
        self.begun = False

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers."""
        self.begun = True
        ids = {"x-request-id": self._correlation, "request-id": self._correlation}  # OpenAI's name and Anthropic's
        merged = {**CORS, "cache-control": "no-store", **ids, **headers}
        if merged.get("content-type") == "text/event-stream":
            merged["x-accel-buffering"] = "no"  # nginx and similar proxies would buffer events
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in merged.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def send(self, data: bytes) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """End the body."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _document(path: str, request: Request, catalogue: Catalogue, permitted: list[Model]) -> dict[str, Any]:
    """Return the list or the model that an address names."""
    google = path.startswith(addresses.GOOGLE_LISTS)
    wanted = request.path_params.get("model")
    if wanted is None:
        query = request.query_params
        return listing.google_listed(permitted, query) if google else listing.listed(catalogue, permitted, query)
    found = find_model(catalogue, str(wanted))
    if found is None or found not in permitted:
        raise model_not_found(str(wanted), addresses.LISTS[0])
    return listing.google_entry(found) if google else listing.entry(catalogue, found)


async def _disconnected(request: Request) -> None:
    while True:
        message: Message = await request.receive()
        if message["type"] == "http.disconnect":
            return


def _credential(headers: Mapping[str, str]) -> str:
    keys = (headers.get(name, "") for name in KEY_HEADERS)
    return bearer_of(headers.get("authorization", "")) or next(filter(None, keys), "")


def _address(request: Request) -> str:
    # `EdgeOnly` has replaced the header by the viewer's address.
    return request.headers.get("x-forwarded-for") or (request.client.host if request.client else "")


def _metadata(request: Request, address: str) -> dict[str, str]:
    metadata = {name: request.headers.get(header, "")[:LONGEST_METADATA] for name, header in METADATA.items()}
    return {name: value for name, value in {**metadata, "address": address}.items() if value}


def _correlation(request: Request) -> str:
    return trace_of(request.headers.get("traceparent", "")) or new_id("req")


def _error_response(format_: Format, error: ServiceError, correlation: str = "") -> Response:
    return Response(_error_body(format_, error), error.status, {**_error_headers(error, correlation), **CORS})


def _format_of(request: Request) -> Format:
    """Return the format of errors at an address that is no model call."""
    named = addresses.format_at(request.url.path)
    anthropic = named is addresses.DEFAULT_FORMAT and "anthropic-version" in request.headers
    return Format.MESSAGES if anthropic else named


async def _route_not_found(request: Request, _error: HTTPException) -> Response:
    if request.method == "OPTIONS":
        return _preflight()
    return _error_response(_format_of(request), addresses.not_found_at(request.url.path))


async def _method_not_allowed(request: Request, error: HTTPException) -> Response:
    refused = MethodNotAllowed("method_not_allowed", "This address accepts other methods only: see the header `Allow`.")
    answer = _error_response(_format_of(request), refused)
    answer.headers.update(error.headers or {})
    return answer


def _preflight() -> Response:
    return Response(b"", HTTPStatus.NO_CONTENT, PREFLIGHT)


async def _refuse(sink: _AsgiSink, format_: Format, error: ServiceError, *, final: bool = False) -> None:
    await sink.begin(int(error.status), _error_headers(error, ""))
    await sink.send(_error_body(format_, error, final=final))
    await sink.end()


def _error_headers(error: ServiceError, correlation: str) -> dict[str, str]:
    headers = {"content-type": "application/json"}
    if correlation:
        headers["x-request-id"] = correlation
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if isinstance(error, TooManyRequests):
        headers |= {name.lower(): value for name, value in error.headers.items()}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return headers


def _error_body(format_: Format, error: ServiceError, *, final: bool = False) -> bytes:
    if isinstance(error, UpstreamRefused) and error.body and error.format is format_:
        return final_refusal(int(error.status), error.body) if final else error.body
    return answer_error(
        format_,
        status=int(error.status),
        code=error.code,
        message=error.message,
        details=dict(error.details),
        final=final,
    )


def _is_opencode(headers: Mapping[str, str]) -> bool:
    """Tell whether a client is opencode, which searches errors for digits of temporary failures."""
    if agent := headers.get("user-agent", ""):
        return "opencode" in agent
    return any(name.startswith("x-opencode-") for name in headers)
