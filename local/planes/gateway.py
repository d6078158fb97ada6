"""The model gateway (docs/gateway.md). Bodies are the vendors' formats: only members that it treats are described."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from local.planes.parts import (
    ANY,
    ANYONE,
    EVENTS,
    JSON,
    NUMBER,
    TEXT,
    TRUTH,
    Plane,
    Schema,
    Security,
    answer,
    body,
    header,
    maybe,
    operation,
    query,
    said,
    several,
    workspace_header,
)
from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway import addresses
from opencode_cloud.gateway.formats import WIRE_FORMATS, EmbeddingMethod

TAG = "Model gateway"
CALLER: Security = tuple({name: []} for name in ("bearer", "api_key", "google_key", "azure_key"))
INFERENCE = "inference:use"
CALL = "{call}"
"""The end of an address of Google's format: model and method."""
_MODEL = "claude-sonnet-5"
_REFUSED = (
    *(HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN),
    *(HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.BAD_GATEWAY),
    *(HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT),
)
_HEADERS = (
    workspace_header(),
    header("x-opencode-session", "The session. Its calls go to one upstream, so its prompt cache works."),
)
_ANSWER_HEADERS: dict[str, Schema] = {
    "x-request-id": {"schema": TEXT, "description": "Names the call in the logs."},
    "x-opencode-upstream": {"schema": TEXT, "description": "The upstream that answered."},
    "x-opencode-model": {"schema": TEXT, "description": "The model that served, if it is another one."},
    "x-opencode-fallback": {"schema": TEXT, "description": "Why another model served."},
    "x-opencode-dropped": {"schema": TEXT, "description": "Hints of the request that the upstream did not get."},
}


@dataclass(frozen=True)
class _Form:
    """A vendor's format, as the document describes it."""

    name: str
    """Begins the names of its models."""
    vendor: str
    link: str
    summary: str
    required: str
    members: dict[str, Schema]
    sent: dict[str, Any]
    """An example of a request."""
    got: dict[str, Any]
    """An example of an answer."""


_COMMON: dict[str, Schema] = {
    "model": said(TEXT, "A model of the catalogue, an alias, or a vendor's name of it."),
    "stream": said(TRUTH, "Answer with events."),
    "tools": said(several({"type": "object"}), "The policy may deny tools. Tools that providers run are left out."),
    "service_tier": said(TEXT, "It must have a price in the catalogue."),
}
_TURN = [{"role": "user", "content": "Hello"}]
_FORMS: Mapping[Format, _Form] = {
    Format.CHAT: _Form(
        "ChatCompletion",
        "OpenAI Chat Completions",
        "https://platform.openai.com/docs/api-reference/chat",
        "Call a model by Chat Completions",
        "model messages",
        {
            **_COMMON,
            "messages": said(several({"type": "object"}), "The whole conversation."),
            "max_completion_tokens": said(NUMBER, "Bounds what the call reserves on budgets."),
            "max_tokens": said(NUMBER, "The older name of the same limit."),
            "n": said(NUMBER, "The number of answers; each one is reserved and paid."),
            "stream_options": said({"type": "object"}, "`include_usage` asks for usage at the end of a stream."),
            "prompt_cache_key": said(TEXT, "Names the session. The provider gets a pseudonym."),
            "user": said(TEXT, "The provider gets a pseudonym."),
        },
        {"model": _MODEL, "messages": _TURN},
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": _MODEL,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10},
        },
    ),
    Format.MESSAGES: _Form(
        "AnthropicMessage",
        "Anthropic Messages",
        "https://docs.anthropic.com/en/api/messages",
        "Call a model by Messages",
        "model messages max_tokens",
        {
            **_COMMON,
            "messages": said(several({"type": "object"}), "The whole conversation. `cache_control` is kept."),
            "max_tokens": said(NUMBER, "Bounds what the call reserves on budgets."),
            "system": ANY,
            "metadata": said({"type": "object"}, "`user_id` names the session. The provider gets a pseudonym."),
            "thinking": said({"type": "object"}, "Signed thoughts of earlier turns are kept."),
        },
        {"model": _MODEL, "max_tokens": 1024, "messages": _TURN},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": _MODEL,
            "content": [{"type": "text", "text": "Hi"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 8, "output_tokens": 2},
        },
    ),
    Format.RESPONSES: _Form(
        "ModelResponse",
        "OpenAI Responses",
        "https://platform.openai.com/docs/api-reference/responses",
        "Call a model by Responses",
        "model input",
        {
            **_COMMON,
            "input": said(ANY, "The whole conversation. References to stored contents are refused."),
            "max_output_tokens": said(NUMBER, "Bounds what the call reserves on budgets."),
            "store": said(TRUTH, "The gateway stores nothing."),
            "previous_response_id": said(maybe(TEXT), "Refused with `stored_reference`."),
            "prompt_cache_key": said(TEXT, "Names the session. The provider gets a pseudonym."),
        },
        {"model": _MODEL, "input": "Hello"},
        {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "model": _MODEL,
            "output": [
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
            ],
            "usage": {"input_tokens": 8, "output_tokens": 2, "total_tokens": 10},
        },
    ),
    Format.GENERATE: _Form(
        "GeneratedContent",
        "Google Gemini",
        "https://ai.google.dev/api/generate-content",
        "Call a model by Generate Content",
        "contents",
        {
            "contents": said(several({"type": "object"}), "The whole conversation."),
            "systemInstruction": ANY,
            "generationConfig": said({"type": "object"}, "`maxOutputTokens` bounds what the call reserves on budgets."),
            "tools": _COMMON["tools"],
            "cachedContent": said(TEXT, "Refused with `stored_reference`."),
        },
        {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 2, "totalTokenCount": 10},
        },
    ),
}
_COUNTS: Mapping[Format, tuple[str, str]] = {
    Format.MESSAGES: ("Count tokens of Messages", "input_tokens"),
    Format.RESPONSES: ("Count tokens of Responses", "input_tokens"),
    Format.GENERATE: ("Count tokens of Generate Content", "totalTokens"),
}
_EMBEDDINGS: Mapping[EmbeddingMethod, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    EmbeddingMethod.LIST: (
        "Make embeddings",
        "model input",
        {"model": "text-embedding-3-small", "input": "Hello"},
        {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
            "model": "text-embedding-3-small",
        },
    ),
    EmbeddingMethod.SINGLE: (
        "Embed content",
        "content",
        {"content": {"parts": [{"text": "Hello"}]}},
        {"embedding": {"values": [0.1]}},
    ),
    EmbeddingMethod.BATCH: (
        "Embed contents",
        "requests",
        {"requests": [{"content": {"parts": [{"text": "Hello"}]}}]},
        {"embeddings": [{"values": [0.1]}]},
    ),
}


def gateway() -> Plane:
    """Return the description of model calls, counts, embeddings and lists of models."""
    plane = Plane()
    fault = _faults(plane)
    for wire in WIRE_FORMATS.values():
        form = _FORMS[wire.name]
        request, reply = _models_of(plane, form)
        errors = plane.refusals(fault[wire.name is Format.GENERATE], *_REFUSED)
        if wire.read_path:
            for method, streams in (("generateContent", False), ("streamGenerateContent", True)):
                paths = [path.replace(CALL, f"{{model}}:{method}") for path in _newest_first(wire.client_paths)]
                summary = f"Stream {form.summary.removeprefix('Call ')}" if streams else form.summary
                _call(plane, paths, summary, form, request, reply, errors, plain=not streams, streams=streams)
        else:
            _call(plane, wire.client_paths, form.summary, form, request, reply, errors, plain=True, streams=True)
        if wire.count_paths:
            _count(plane, wire.name, _newest_first(wire.count_paths), request, errors)
    _embed(plane, fault)
    _list(plane, fault)
    alive = {"200": answer("It answers.", {"type": "object"}, example={"status": "ok"}), **plane.refusals(fault[False])}
    text = "Return the state of this process. The base URLs of clients answer the same."
    made = operation(TAG, "Check the health of the gateway", text, "none", ANYONE, alive, also_at=addresses.BASES)
    plane.add("get", "/zen/v1/health", made)
    return plane


def _faults(plane: Plane) -> Mapping[bool, Schema]:
    """Return the forms of errors: Google's is true, the other one false."""
    inner = plane.open_model(
        "GatewayError",
        "`type` is the vendor's, `code` is ours (docs/gateway.md, Errors). Show `message` to people.",
        "type code message",
        type=TEXT,
        code=maybe(TEXT),
        message=TEXT,
    )
    status = plane.open_model(
        "GoogleError",
        "`status` and `code` are Google's. Our code is the reason in `details`.",
        "code message status",
        code=NUMBER,
        message=TEXT,
        status=TEXT,
        details=several({"type": "object"}),
    )
    usual = plane.open_model("GatewayFault", "An error in the forms of OpenAI and Anthropic.", "error", error=inner)
    google = plane.open_model("GoogleFault", "An error in the form of Google.", "error", error=status)
    return {False: usual, True: google}


def _newest_first(paths: Iterable[str]) -> list[str]:
    """Return the addresses with that of Google's clients first."""
    return sorted(paths, key=lambda path: "/v1beta/" not in path)


def _models_of(plane: Plane, form: _Form) -> tuple[Schema, Schema]:
    text = f"The format of {form.vendor}: {form.link}. Members that are not here go to the upstream, or are converted."
    request = plane.open_model(f"{form.name}Request", text, form.required, **form.members)
    return request, plane.open_model(f"{form.name}Answer", f"An answer of {form.vendor}: {form.link}.")


def _call(
    plane: Plane,
    paths: Iterable[str],
    summary: str,
    form: _Form,
    request: Schema,
    reply: Schema,
    errors: Mapping[str, Schema],
    *,
    plain: bool,
    streams: bool,
) -> None:
    first, *others = paths
    done = answer("The answer.", reply if plain else None, example=form.got if plain else None)
    if streams:
        done.setdefault("content", {})[EVENTS] = {"schema": said(TEXT, f"The events of {form.vendor}.")}
    text = f"Call any model of the catalogue in the format of {form.vendor}. Every model answers in every format."
    made = operation(
        TAG,
        summary,
        text,
        INFERENCE,
        CALLER,
        {"200": {**done, "headers": _ANSWER_HEADERS}, **errors},
        parameters=_HEADERS,
        request=body(request, example=form.sent),
        also_at=others,
    )
    plane.add("post", first, made)


def _count(plane: Plane, name: Format, paths: Iterable[str], request: Schema, errors: Mapping[str, Schema]) -> None:
    summary, member = _COUNTS[name]
    counted = plane.open_model(f"{_FORMS[name].name}Count", "The tokens of a prompt.", member, **{member: NUMBER})
    first, *others = paths
    sent = _FORMS[name].sent
    made = operation(
        TAG,
        summary,
        "Count the tokens of a prompt. It is free, and no upstream is asked.",
        INFERENCE,
        CALLER,
        {"200": answer("The count.", counted, example={member: 8}), **errors},
        parameters=_HEADERS,
        request={"required": True, "content": {JSON: {"schema": _counted(name, request), "example": sent}}},
        also_at=others,
    )
    plane.add("post", first, made)


def _counted(name: Format, request: Schema) -> Schema:
    """Return the schema of a request to count, which needs no limit of the answer."""
    return {"type": "object", "additionalProperties": True} if name is Format.MESSAGES else request


def _embed(plane: Plane, fault: Mapping[bool, Schema]) -> None:
    for method, (summary, required, sent, got) in _EMBEDDINGS.items():
        name = summary.title().replace(" ", "")
        members: dict[str, Schema] = dict.fromkeys(required.split(), ANY)
        request = plane.open_model(f"{name}Request", "The vendor's format.", required, **members)
        reply = plane.open_model(f"{name}Answer", "The vendor's format.")
        first, *others = _newest_first(path for path, each in addresses.EMBEDDINGS if each is method)
        made = operation(
            TAG,
            summary,
            "Embedding models are called at the addresses of embeddings only.",
            INFERENCE,
            CALLER,
            {
                "200": answer("The vectors.", reply, example=got),
                **plane.refusals(fault[method is not EmbeddingMethod.LIST], *_REFUSED),
            },
            parameters=_HEADERS,
            request=body(request, example=sent),
            also_at=others,
        )
        plane.add("post", first, made)


def _list(plane: Plane, fault: Mapping[bool, Schema]) -> None:
    entry = plane.open_model(
        "OfferedModel",
        "A model, with the members of OpenAI and of Anthropic.",
        "id object type created display_name",
        id=TEXT,
        object=TEXT,
        type=TEXT,
        created=said(NUMBER, "Seconds since the epoch."),
        created_at=TEXT,
        owned_by=TEXT,
        display_name=TEXT,
    )
    page = plane.open_model(
        "OfferedModels", "A page of models.", "data has_more", object=TEXT, data=several(entry), has_more=TRUTH
    )
    google = plane.open_model(
        "GoogleModel", "A model, for clients of Google.", "name", name=TEXT, displayName=TEXT, inputTokenLimit=NUMBER
    )
    googles = plane.open_model(
        "GoogleModels", "A page of models.", "models", models=several(google), nextPageToken=TEXT
    )
    pages = [query("limit", "1 to 1000.", NUMBER), query("after_id", "A model."), query("before_id", "A model.")]
    theirs = [query("pageSize", "1 to 1000.", NUMBER), query("pageToken", "`nextPageToken` of the page before.")]
    for paths, many, one, parameters, vendor in (
        (addresses.LISTS, page, entry, pages, ""),
        (addresses.GOOGLE_LISTS, googles, google, theirs, " for Google"),
    ):
        errors = plane.refusals(fault[bool(vendor)], HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND)
        for end, summary, model, named in (
            ("", f"List models of the gateway{vendor}", many, parameters),
            ("/{model}", f"Get a model of the gateway{vendor}", one, []),
        ):
            first, *others = [path + end for path in paths]
            made = operation(
                TAG,
                summary,
                "Return what policy and key permit.",
                INFERENCE,
                CALLER,
                {"200": answer("The model.", model), **errors},
                parameters=[*_HEADERS[:1], *named],
                also_at=others,
            )
            plane.add("get", first, made)
