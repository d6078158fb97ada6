"""Errors: upstreams' errors in any form become errors in the client's format."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import (
    TOO_LONG,
    UpstreamGarbage,
    answer_error,
    error_event,
    is_own_error,
    relay_answer,
    relay_stream,
    upstream_fault,
)
from tests.unit.gateway.formats.speaking import FORMATS, ask, data_events, encode, golden


@pytest.mark.parametrize(
    ("source", "status", "body", "code", "kind", "message"),
    [
        (
            Format.CHAT,
            429,
            b'{"error":{"message":"Slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}',
            "rate_limit_exceeded",
            "requests",
            "Slow down",
        ),
        (
            Format.MESSAGES,
            529,
            b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}',
            "",
            "overloaded_error",
            "Overloaded",
        ),
        (
            Format.GENERATE,
            400,
            b'[{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}]',
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
            "API key not valid",
        ),
        (Format.CHAT, 404, b'{"detail":"Not Found"}', "", "", "Not Found"),
        (Format.CHAT, 500, b'{"error":"model not loaded"}', "", "", "model not loaded"),
        (Format.CHAT, 422, b'{"detail":[{"loc":["body","n"],"msg":"too big"}]}', "", "", "body.n: too big"),
        (Format.CHAT, 422, b'{"detail":[{"loc":["n"],"msg":"big"},"b",{},"b"]}', "", "", "n: big; b"),
        (Format.CHAT, 422, b'{"object":"error","message":{"detail":[{"msg":"Extra inputs"}]}}', "", "", "Extra inputs"),
        (
            Format.MESSAGES,
            403,
            b'{"Message":"not authorized to perform: bedrock"}',
            "",
            "",
            "not authorized to perform: bedrock",
        ),
        (Format.CHAT, 502, b"<html><head><style>x{}</style></head><h1>Bad  gateway</h1></html>", "", "", "Bad gateway"),
        (Format.CHAT, 503, b"", "", "", ""),
        (Format.CHAT, 400, b'"no"', "", "", "no"),
        (Format.CHAT, 400, b"[]", "", "", ""),
        (Format.CHAT, 400, b"null", "", "", ""),
    ],
)
def test_errors_of_any_shape_are_understood(
    source: Format, status: int, body: bytes, code: str, kind: str, message: str
) -> None:
    fault = upstream_fault(status, body)
    assert (fault.status, fault.code, fault.type, fault.message) == (status, code, kind, message)


@given(st.binary() | st.text().map(lambda text: json.dumps({"error": {"message": text}}).encode()))
def test_no_body_of_an_error_is_too_odd_or_too_long(body: bytes) -> None:
    assert len(upstream_fault(500, body).message) <= 500
    assert len(upstream_fault(500, body * 1000).message) <= 500


def test_a_code_of_very_many_digits_is_no_status() -> None:
    digits = "9" * 5000
    fault = upstream_fault(500, json.dumps({"error": {"message": "no", "code": digits}}).encode())
    assert (fault.status, fault.message) == (500, "no")


OPENAI = {400: "invalid_request_error", 402: "insufficient_quota", 429: "rate_limit_error", 503: "server_error"}
TYPES = {
    Format.CHAT: OPENAI,
    Format.RESPONSES: OPENAI,
    Format.MESSAGES: {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        502: "api_error",
        503: "overloaded_error",
        504: "timeout_error",
    },
}


@pytest.mark.parametrize(
    ("format_", "status", "kind"), [(name, status, kind) for name, by in TYPES.items() for status, kind in by.items()]
)
def test_an_error_has_the_vendors_type_and_our_code(format_: Format, status: int, kind: str) -> None:
    details = {"limit": 20, "message": "hidden", "type": "hidden", "code": "hidden"}
    body = json.loads(answer_error(format_, status=status, code="ours", message="Stopped.", details=details))
    assert body["type"] == "error"
    error = body["error"]
    assert (error["type"], error["code"], error["message"], error["limit"]) == (kind, "ours", "Stopped.", 20)


def test_an_error_of_google_has_the_vendors_status_and_our_code() -> None:
    details = {"limit": 20, "message": "hidden"}
    body = json.loads(
        answer_error(Format.GENERATE, status=402, code="ours", message="Stopped at $20.00.", details=details)
    )
    error = body["error"]
    assert (error["code"], error["status"], error["message"], error["limit"]) == (
        *(402, "FAILED_PRECONDITION", "Stopped at $20.00.", 20),
    )
    assert error["details"][0]["reason"] == "ours"


CHAT_WORDS = "This model's maximum context length is 128000 tokens. However, your messages resulted in 150000 tokens."
GOOGLE_WORDS = "The input token count (150000) exceeds the maximum number of tokens allowed (128000)."
CLAUDE_WORDS = "prompt is too long: 150000 tokens > 128000 maximum"
RESPONSES_WORDS = "Your input exceeds the context window of this model."


@pytest.mark.parametrize(
    ("format_", "given_message", "message"),
    [
        *((Format.MESSAGES, words, CLAUDE_WORDS) for words in (CHAT_WORDS, GOOGLE_WORDS, CLAUDE_WORDS)),
        *((Format.GENERATE, words, GOOGLE_WORDS) for words in (CHAT_WORDS, GOOGLE_WORDS, CLAUDE_WORDS)),
        (Format.MESSAGES, RESPONSES_WORDS, f"prompt is too long: {RESPONSES_WORDS}"),
        (Format.MESSAGES, "", "prompt is too long"),
        (
            Format.GENERATE,
            RESPONSES_WORDS,
            "The input token count exceeds the maximum number of tokens allowed.",
        ),
        (Format.CHAT, CLAUDE_WORDS, CLAUDE_WORDS),
        (Format.RESPONSES, GOOGLE_WORDS, GOOGLE_WORDS),
    ],
)
def test_a_prompt_that_is_too_long_is_said_in_the_words_of_the_clients_vendor(
    format_: Format, given_message: str, message: str
) -> None:
    body = answer_error(format_, status=400, code=TOO_LONG, message=given_message, details={})
    error = json.loads(body)["error"]
    assert error["message"] == message
    if format_ is not Format.GENERATE:
        assert (error["type"], error["code"]) == ("invalid_request_error", "context_length_exceeded")


FAULTS = {
    Format.CHAT: b'data: {"error":{"message":"Overloaded","type":"server_error","code":"server_is_overloaded"}}\n\n',
    Format.MESSAGES: b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
    b'"message":"Overloaded"}}\n\n',
    Format.RESPONSES: b'data: {"type":"response.failed","response":{"id":"r","error":{"code":"server_error",'
    b'"message":"Overloaded"},"usage":{"input_tokens":9,"output_tokens":1}}}\n\n',
    Format.GENERATE: b'data: {"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}\n\n',
}
STATUSES = {Format.CHAT: 503, Format.MESSAGES: 529, Format.RESPONSES: 500, Format.GENERATE: 503}


@pytest.mark.parametrize("upstream", FORMATS)
@pytest.mark.parametrize("client", FORMATS)
def test_an_error_within_a_stream_is_known_and_neither_it_nor_anything_after_it_is_passed_on(
    client: Format, upstream: Format
) -> None:
    relay = relay_stream(ask(client, stream=True), upstream)
    assert relay.feed(FAULTS[upstream] + golden(upstream)) + relay.end() == b""
    assert relay.fault is not None
    assert relay.fault.message == "Overloaded"
    assert relay.fault.status == STATUSES[upstream]
    assert not relay.complete
    assert relay.progress == 0


IN_CHOICE = {"index": 0, "error": {"code": 502, "message": "Gone"}, "finish_reason": "error"}
WITHOUT_TEXT = {"index": 0, "finish_reason": "error"}
BESIDE = {"choices": [{"index": 0, "message": {"content": None}}], "error": {"code": 429, "message": "Slow"}}


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize(
    ("document", "status"), [({"choices": [IN_CHOICE]}, 502), ({"choices": [WITHOUT_TEXT]}, 502), (BESIDE, 429)]
)
def test_an_error_of_a_router_within_an_answer_of_status_200_is_no_answer(
    client: Format, document: dict[str, Any], status: int
) -> None:
    with pytest.raises(UpstreamGarbage) as refused:
        relay_answer(ask(client), Format.CHAT, encode(document))
    assert refused.value.fault is not None
    assert refused.value.fault.status == status
    relay = relay_stream(ask(client, stream=True), Format.CHAT)
    assert relay.feed(b"data: " + encode(document) + b"\n\n") == b""
    assert relay.fault is not None
    assert relay.fault.status == status


def test_the_reason_in_googles_details_is_read() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    body = encode({"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT", "details": details}})
    assert upstream_fault(400, body).reason == "API_KEY_INVALID"


@pytest.mark.parametrize("client", FORMATS)
def test_an_error_before_the_mark_of_the_end_is_no_normal_end(client: Format) -> None:
    event = b'data: {"object":"error","message":"Out of memory","type":"server_error","code":500}\n\n'
    relay = relay_stream(ask(client, stream=True), Format.CHAT)
    assert b"[DONE]" not in relay.feed(event + b"data: [DONE]\n\n") + relay.end()
    assert relay.fault is not None
    assert (relay.fault.status, relay.fault.message) == (500, "Out of memory")
    assert not relay.complete


def test_usage_of_a_failed_response_is_not_lost() -> None:
    for client in FORMATS:
        relay = relay_stream(ask(client, stream=True), Format.RESPONSES)
        relay.feed(FAULTS[Format.RESPONSES])
        assert relay.tokens is not None
        assert relay.tokens.total == 10


@pytest.mark.parametrize("upstream", FORMATS)
def test_an_error_of_responses_alone_is_understood(upstream: Format) -> None:
    event = (
        b'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"Slow","sequence_number":3}\n\n'
    )
    relay = relay_stream(ask(upstream, stream=True), Format.RESPONSES)
    relay.feed(event)
    assert relay.fault is not None
    assert (relay.fault.status, relay.fault.code, relay.fault.message) == (429, "rate_limit_exceeded", "Slow")


OWN = {
    Format.CHAT: {"error": {"message": "no", "type": "invalid_request_error", "code": None}},
    Format.RESPONSES: {"error": {"message": "no", "type": "invalid_request_error", "code": None}},
    Format.MESSAGES: {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}},
    Format.GENERATE: {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}},
}
FOREIGN: list[Any] = [
    {"message": "Malformed input request"},
    {"detail": [{"msg": "field required"}]},
    {"error": "model not loaded"},
    {"object": "error", "message": "no", "code": 400},
    [{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}],
    {"error": {"code": 400}},
    "no",
]


@pytest.mark.parametrize("format_", OWN)
def test_only_an_error_in_the_clients_own_form_is_passed_on(format_: Format) -> None:
    assert is_own_error(format_, json.dumps(OWN[format_]).encode())
    for body in FOREIGN:
        assert not is_own_error(format_, json.dumps(body).encode()), body
    for page in (b"<html><h1>413 Request Entity Too Large</h1></html>", b"", b"[" * 100_000, b"\xff"):
        assert not is_own_error(format_, page)


@pytest.mark.parametrize("client", [Format.CHAT, Format.MESSAGES])
@pytest.mark.parametrize("reason", ["network_error", "insufficient_system_resource", "abort", "error"])
def test_a_server_that_gives_up_in_the_middle_has_not_answered(client: Format, reason: str) -> None:
    relay = relay_stream(ask(client, stream=True), Format.CHAT)
    relay.feed(b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": "half"}}]}).encode() + b"\n\n")
    end = {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": reason}]}
    assert relay.feed(b"data: " + json.dumps(end).encode() + b"\n\ndata: [DONE]\n\n") == b""
    relay.end()
    assert relay.fault is not None
    assert not relay.complete
    whole = {"choices": [{"index": 0, "message": {"content": "half"}, "finish_reason": reason}]}
    with pytest.raises(UpstreamGarbage):
        relay_answer(ask(client), Format.CHAT, json.dumps(whole).encode())


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("model_length", "max_tokens"),
        ("model_context_window_exceeded", "max_tokens"),
        ("sensitive", "refusal"),
        ("eos", "end_turn"),
    ],
)
def test_names_that_servers_give_to_an_end_mean_it(reason: str, told: str) -> None:
    whole = {"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": reason}]}
    answer = relay_answer(ask(Format.MESSAGES), Format.CHAT, json.dumps(whole).encode())
    assert json.loads(answer.body)["stop_reason"] == told


def test_an_error_event_of_responses_is_numbered() -> None:
    events = data_events(error_event(Format.RESPONSES, status=500, code="c", message="m", details={}, sequence=7))
    assert [event["type"] for event in events] == ["error", "response.failed"]
    assert [event["sequence_number"] for event in events] == [7, 8]
    failed = events[1]["response"]
    assert (failed["status"], failed["error"]) == ("failed", {"code": "c", "message": "m"})


def retry_info(delay: object) -> bytes:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED"}
    error = {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED", "details": [reason, info]}
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ("37s", 37.0),
        ("1.5s", 1.5),
        ({"seconds": 3, "nanos": 500_000_000}, 3.5),
        ({"seconds": "3"}, 3.0),
        ("99999999999999s", 86_400.0),
        ("9" * 300 + "s", 86_400.0),
        *(
            (odd, None)
            for odd in ("", "37", "-1s", "infs", "1e9s", "s", None, 7, [], {}, {"seconds": -1}, {"seconds": {}})
        ),
    ],
)
def test_googles_retry_info_is_a_bounded_wait(delay: object, seconds: float | None) -> None:
    fault = upstream_fault(429, retry_info(delay))
    assert (fault.retry_after, fault.reason) == (seconds, "RATE_LIMIT_EXCEEDED")


def test_other_details_are_no_wait() -> None:
    body = {"error": {"details": [{"@type": "x/google.rpc.Help", "retryDelay": "5s"}, "text", None]}}
    assert upstream_fault(429, json.dumps(body).encode()).retry_after is None
