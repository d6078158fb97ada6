"""Bounds on tokens hold for prompts of any length."""

from __future__ import annotations

import asyncio
import json

import pytest

from opencode_cloud.catalogue.models import Format, Route, TokenLimits
from opencode_cloud.gateway.formats import read_request
from opencode_cloud.gateway.service import token_bounds
from opencode_cloud.gateway.service.token_bounds import DEFAULT_TOKENIZER, PIECE_CHARACTERS, count
from tests.unit.gateway.catalogues import model, price

WORDS = "some words "
PROMPT = WORDS * 460_000


@pytest.mark.parametrize("length", [0, 1, PIECE_CHARACTERS, 1_000_000, 5_000_000])
def test_a_text_of_any_length_is_counted(length: int) -> None:
    text = (WORDS * (length // len(WORDS) + 1))[:length]
    words = len(text.split())  # each is one token
    assert asyncio.run(count(text, DEFAULT_TOKENIZER)) == pytest.approx(words, abs=30)


def test_a_prompt_of_five_megabytes_is_reserved_for_and_estimated() -> None:
    body = {"model": "m1", "messages": [{"role": "user", "content": PROMPT}]}
    parsed = read_request(Format.CHAT, json.dumps(body).encode())
    wide = model(
        Route(upstream="a", model="m"),
        tokenizer=DEFAULT_TOKENIZER,
        limits=TokenLimits(context=2_000_000, output=1),
    )
    cost, tokens = asyncio.run(token_bounds.worst(parsed, wide, price()))
    assert 900_000 < tokens < 1_000_000
    assert cost == pytest.approx(tokens * 300, rel=0.01)
    assert token_bounds.estimated_prompt(parsed, wide) == pytest.approx(tokens, abs=100)


@pytest.mark.parametrize(
    "members",
    [{"context_management": {"edits": [{"type": "compact_20260112"}]}}, {"compaction": {"type": "auto"}}],
)
def test_a_prompt_that_the_provider_may_compact_is_reserved_twice(members: dict[str, object]) -> None:
    body = {"model": "m1", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
    edits = {"context_management": {"edits": [{"type": "clear_thinking_20251015"}]}}
    m1 = model(Route(upstream="a", model="m"), tokenizer=DEFAULT_TOKENIZER)
    once, twice = (
        asyncio.run(token_bounds.worst(read_request(Format.MESSAGES, json.dumps(each).encode()), m1, price()))[1]
        for each in ({**body, **edits}, {**body, **edits, **members})
    )
    assert once > 100
    assert twice >= 2 * once - 100, "also the members themselves count as text"


async def test_counting_a_long_text_lets_other_calls_go_on() -> None:
    turns = 0

    async def other_calls() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(other_calls())
    await count(PROMPT, DEFAULT_TOKENIZER)
    others.cancel()
    assert turns >= len(PROMPT) // PIECE_CHARACTERS
