"""Audio in a prompt costs more than text at some vendors: it has a price, or it is refused by name."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import MILLION, Format, Price, Rates, Route, TokenLimits, UpstreamKind
from opencode_cloud.catalogue.service.starting import starting_catalogue
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.gateway.formats.models import InvalidRequest, PathTarget
from opencode_cloud.gateway.service import token_bounds
from tests.unit.gateway.calling import Connection, Rig, Scripted, delta, sse
from tests.unit.gateway.catalogues import catalogue, model, upstream
from tests.unit.gateway.formats.speaking import ask, forwarded
from tests.unit.gateway.rigs import error, only, rig
from tests.upstreams import Usage
from tests.upstreams.formats import chat, generate, responses
from tests.upstreams.formats.wire import Reply

SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
PARTS: list[tuple[Format, dict[str, Any], str]] = [
    (Format.CHAT, {"messages": [{"role": "user", "content": [SOUND]}]}, "messages[0].content[0]"),
    (
        Format.CHAT,
        {"messages": [{"role": "user", "content": [{"type": "audio_url", "audio_url": {"url": "data:x"}}]}]},
        "messages[0].content[0]",
    ),
    (Format.RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0]"),
    (
        Format.GENERATE,
        {"contents": [{"parts": [{"inlineData": {"mimeType": "audio/ogg", "data": "AA"}}]}]},
        "contents[0].parts[0].inlineData",
    ),
    (
        Format.GENERATE,
        {"contents": [{"parts": [{"fileData": {"mimeType": "audio/ogg", "fileUri": "https://x.example"}}]}]},
        "contents[0].parts[0].fileData",
    ),
]


@pytest.mark.parametrize(("format_", "members", "place"), PARTS)
def test_audio_is_found_in_each_format(format_: Format, members: dict[str, Any], place: str) -> None:
    assert ask(format_, **members).audio == place
    assert ask(format_).audio == ""


async def test_audio_without_a_price_is_refused_by_name_and_nothing_is_held_back() -> None:
    found = rig(lambda _: Scripted())
    told = await error(found.call(messages=[{"role": "user", "content": [SOUND]}]))
    assert (told.status, told.code) == (400, "audio_not_priced")
    assert "messages[0].content[0]" in told.message
    assert not found.ledger.reserved
    assert not found.asked


async def test_audio_that_costs_as_much_as_text_is_served() -> None:
    found = rig(lambda _: Scripted(), audio_at_text_rate=True)
    await found.call(messages=[{"role": "user", "content": [SOUND]}])
    assert only(found).cost > 0


def test_the_starting_catalogue_offers_audio_only_where_it_has_a_price() -> None:
    for known in starting_catalogue().models.values():
        modalities = bytes(known.listing["modalities"]) if "modalities" in known.listing else b""
        priced = known.audio_at_text_rate or known.prices[-1].rates.input_audio is not None
        assert (b"audio" in modalities) is priced


UPSTREAMS = {
    Format.CHAT: (UpstreamKind.OPENAI, chat),
    Format.RESPONSES: (UpstreamKind.OPENAI, responses),
    Format.GENERATE: (UpstreamKind.GOOGLE, generate),
}
BODIES: dict[Format, dict[str, Any]] = {
    Format.CHAT: {
        "messages": [{"role": "user", "content": [SOUND]}],
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "pcm16"},
    },
    Format.RESPONSES: {
        "input": [{"role": "user", "content": [SOUND]}],
    },
    Format.GENERATE: {
        "contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}]}],
        "generationConfig": {"responseModalities": ["AUDIO"]},
    },
}
RATES = Rates(
    input=30_000_017,
    output=250_000_003,
    cache_read=3_000_001,
    input_audio=100_000_007,
    cache_read_audio=10_000_019,
    output_audio=1_200_000_011,
)


@st.composite
def reported(draw: st.DrawFn, format_: Format) -> Usage:
    fresh, read, said = draw(st.integers(1, 5000)), draw(st.integers(0, 5000)), draw(st.integers(1, 5000))
    return Usage(
        input=fresh,
        cache_read=read,
        output=said,
        input_audio=draw(st.integers(0, fresh)),
        # OpenAI does not say which tokens of a cache are sound, so these count as fresh as long as there are such.
        cache_read_audio=draw(st.integers(0, read)) if format_ is Format.GENERATE else 0,
        output_audio=draw(st.integers(0, said)),
    )


async def settled(format_: Format, body: dict[str, Any], used: Usage, *, stream: bool) -> UsageEvent:
    """Return the event of a call whose upstream reports a usage."""
    kind, wire = UPSTREAMS[format_]
    reply = Reply("1", "m", words=("Hello",), usage=used)
    answer = (
        Scripted((b"".join(wire.events(reply)),))
        if stream
        else Scripted((json.dumps(wire.whole(reply)).encode(),), content_type="application/json")
    )
    price = Price(version="p", since=0, rates=RATES)
    route = Route(upstream="a", model="m", formats=(format_,))
    found = Rig(catalogue(model(route, prices=(price,)), a=upstream(kind)), lambda _target: answer)
    asked = found.incoming(stream=stream)
    document = {"model": "m1", "stream": stream, **body} if format_ is not Format.GENERATE else body
    target = PathTarget("m1", stream) if format_ is Format.GENERATE else None
    asked = msgspec.structs.replace(asked, format=format_, body=json.dumps(document).encode(), path_target=target)
    await found.calls.serve(asked, Connection())
    return only(found)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("format_", UPSTREAMS)
@settings(max_examples=25)
@given(data=st.data())
def test_a_call_with_sound_costs_the_sum_of_its_parts(format_: Format, *, stream: bool, data: st.DataObject) -> None:
    used = data.draw(reported(format_))
    event = asyncio.run(settled(format_, BODIES[format_], used, stream=stream))
    spoken = used.output_audio if format_ is not Format.RESPONSES else 0  # its requests cannot ask for sound
    parts = (
        (used.input - used.input_audio, RATES.input),
        (used.input_audio, RATES.input_audio),
        (used.cache_read - used.cache_read_audio, RATES.cache_read),
        (used.cache_read_audio, RATES.cache_read_audio),
        (used.output - spoken, RATES.output),
        (spoken, RATES.output_audio),
    )
    assert event.cost == -(-sum(tokens * (rate or 0) for tokens, rate in parts) // MILLION)
    assert (event.estimated, event.cost <= event.reserved) == (False, True)


async def test_sound_that_a_request_cannot_have_costs_as_text() -> None:
    used = Usage(input=1000, input_audio=1000, output=10, output_audio=10)
    text: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
    event = await settled(Format.CHAT, text, used, stream=True)
    assert event.cost == -(-(1000 * RATES.input + 10 * RATES.output) // MILLION)
    assert event.cost <= event.reserved


@pytest.mark.parametrize("price", [{}, {"output_audio": 7}])
async def test_a_spoken_answer_needs_a_price_and_an_upstream_of_the_format(price: dict[str, int]) -> None:
    rates = Rates(input=1, output=1, **price)
    found = rig(lambda _: Scripted(), prices=(Price(version="p", since=0, rates=rates),))
    call = found.call(modalities=["text", "audio"])
    if price:
        await call
        assert found.asked
    else:
        told = await error(call)
        assert (told.code, "modalities" in told.message) == ("audio_not_priced", True)
    for target in (Format.RESPONSES, Format.MESSAGES, Format.GENERATE):
        with pytest.raises(InvalidRequest, match="Sound in the answer"):
            forwarded(ask(Format.CHAT, modalities=["audio"]), target)


@pytest.mark.parametrize(
    ("format_", "members", "hears"),
    [
        (
            Format.CHAT,
            {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]}]},
            True,
        ),
        (
            Format.CHAT,
            {
                "messages": [
                    {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:audio/wav;base64,AA"}}]}
                ]
            },
            True,
        ),
        (
            Format.RESPONSES,
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_file", "file_data": "data:application/pdf;base64,AA"}]}
                ]
            },
            False,
        ),
        (Format.GENERATE, {"contents": [{"parts": [{"inlineData": {"mimeType": "video/mp4", "data": "AA"}}]}]}, True),
        (Format.GENERATE, {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA"}}]}]}, False),
    ],
)
def test_the_reservation_covers_sound_where_a_prompt_can_have_some(
    format_: Format, members: dict[str, Any], hears: bool
) -> None:
    parsed = ask(format_, **members)
    assert parsed.hears is hears
    price = Price(version="p", since=0, rates=Rates(input=1 * MILLION, output=0, input_audio=9 * MILLION))
    cost, tokens = asyncio.run(token_bounds.worst(parsed, model(limits=TokenLimits(context=1000, output=1)), price))
    assert cost == (tokens - 1) * (9 if hears else 1)


async def test_a_spoken_answer_that_breaks_off_is_estimated_as_sound() -> None:
    rates = Rates(input=MILLION, output=MILLION, input_audio=2 * MILLION, output_audio=8 * MILLION)
    script = Scripted((sse(delta("word " * 100)),))
    found = rig(lambda _: script, prices=(Price(version="p", since=0, rates=rates),))
    await found.call(messages=[{"role": "user", "content": [SOUND]}], modalities=["text", "audio"])
    event = only(found)
    assert (event.tokens.output_audio, event.tokens.output) == (125, 125)
    assert (event.tokens.input_audio, event.estimated) == (10_000, True)
    assert event.cost <= event.reserved
