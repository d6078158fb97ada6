"""Flags of previews reach only upstreams that know them; the others are named as dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from opencode_cloud.catalogue.models import Format, Route, Upstream, UpstreamKind
from opencode_cloud.gateway.beta_flags import sorted_flags
from tests.unit.gateway.calling import Connection, Rig, Scripted
from tests.unit.gateway.catalogues import catalogue, model, upstream
from tests.unit.gateway.rigs import MESSAGE, refused

KNOWN, OTHER = "context-1m-2025-08-07", "claude-code-20250219"
ANTHROPIC = upstream(UpstreamKind.ANTHROPIC)
BEDROCK = upstream(UpstreamKind.BEDROCK)
LISTED = upstream(UpstreamKind.ANTHROPIC, beta_flags=(KNOWN,))


@pytest.mark.parametrize(
    ("server", "known", "unknown"),
    [
        (ANTHROPIC, (KNOWN, OTHER), ()),
        (BEDROCK, (KNOWN,), (OTHER,)),
        (LISTED, (KNOWN,), (OTHER,)),
        (upstream(UpstreamKind.BEDROCK, beta_flags=(OTHER,)), (OTHER,), (KNOWN,)),
        (upstream(UpstreamKind.ANTHROPIC, beta_flags=()), (), (KNOWN, OTHER)),
    ],
)
def test_an_upstream_knows_the_flags_of_its_entry_or_its_kind(
    server: Upstream, known: tuple[str, ...], unknown: tuple[str, ...]
) -> None:
    assert sorted_flags(server, f" {KNOWN},{OTHER} ,, {KNOWN}") == (known, unknown)
    assert sorted_flags(server, "") == ((), ())


def rig(**upstreams: Upstream) -> Rig:
    routes = [Route(upstream=name, model="m", priority=number) for number, name in enumerate(upstreams)]
    return Rig(catalogue(model(*routes), **upstreams), lambda _: Scripted((MESSAGE,), 200, "application/json"))


async def call(found: Rig, flags: str, **body: Any) -> Connection:
    members = {"model": "m1", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], **body}
    incoming = replace(
        found.incoming(stream=False),
        format=Format.MESSAGES,
        body=json.dumps(members).encode(),
        passed_on={"anthropic-version": "1", "anthropic-beta": flags},
    )
    sink = Connection()
    await found.calls.serve(incoming, sink)
    return sink


async def test_unknown_flags_are_dropped_and_named() -> None:
    found = rig(a=LISTED)
    sink = await call(found, f"{KNOWN},{OTHER}")
    assert found.headers[0] == {"traceparent": "00-1-2-01", "anthropic-version": "1", "anthropic-beta": KNOWN}
    assert sink.headers["x-opencode-dropped"] == f"anthropic-beta.{OTHER}"


async def test_each_upstream_gets_its_own_flags() -> None:
    found = rig(a=LISTED, b=ANTHROPIC)
    answers = [refused(503), Scripted((MESSAGE,), 200, "application/json")]
    found.script = lambda _: answers.pop(0)
    sink = await call(found, f"{KNOWN},{OTHER}")
    assert [headers.get("anthropic-beta") for headers in found.headers] == [KNOWN, f"{KNOWN},{OTHER}"]
    assert "x-opencode-dropped" not in sink.headers


async def test_without_a_known_flag_there_is_no_header() -> None:
    found = rig(a=LISTED)
    await call(found, OTHER)
    assert "anthropic-beta" not in found.headers[0]


async def test_a_member_behind_a_dropped_flag_goes_with_it() -> None:
    flag = "context-management-2025-06-27"
    for server, kept in ((LISTED, False), (ANTHROPIC, True)):
        found = rig(a=server)
        await call(found, flag, context_management={"edits": []})
        [(_, body)] = found.asked
        assert ("context_management" in json.loads(body)) is kept


async def test_members_within_a_body_go_where_their_flag_is_unknown() -> None:
    mark = {"type": "ephemeral", "scope": "global"}
    system = [{"type": "text", "text": "s", "cache_control": mark}]
    tools = [{"name": "f", "input_schema": {"type": "object"}, "eager_input_streaming": True}]
    for server, kept in ((LISTED, False), (ANTHROPIC, True)):
        found = rig(a=server)
        await call(found, "", system=system, tools=tools)
        [(_, sent)] = found.asked
        body = json.loads(sent)
        assert ("scope" in body["system"][0]["cache_control"]) is kept
        assert ("eager_input_streaming" in body["tools"][0]) is kept


async def test_an_upstream_of_another_format_knows_no_flag() -> None:
    found = rig(a=upstream())
    answer = {"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]}
    found.script = lambda _: Scripted((json.dumps(answer).encode(),), 200, "application/json")
    sink = await call(found, KNOWN)
    assert found.headers[0] == {"traceparent": "00-1-2-01"}
    assert sink.headers["x-opencode-dropped"] == f"anthropic-beta.{KNOWN}"
