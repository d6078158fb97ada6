"""Audio in a prompt costs more than text at some vendors: it has a price, or it is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from opencode_cloud.catalogue.models import Format
from opencode_cloud.catalogue.service.starting import starting_catalogue
from tests.unit.gateway.calling import Scripted
from tests.unit.gateway.formats.speaking import ask
from tests.unit.gateway.rigs import error, only, rig

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
    for model in starting_catalogue().models.values():
        modalities = bytes(model.listing["modalities"]) if "modalities" in model.listing else b""
        assert (b"audio" in modalities) is model.audio_at_text_rate
