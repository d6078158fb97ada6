"""Usage as each format reports it, in buckets that do not overlap."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.conversions import read_usage, write_usage
from opencode_cloud.gateway.formats.usage import merge
from tests.unit.gateway.formats.speaking import FORMATS

CASES: list[tuple[str, Format, dict[str, Any], Tokens]] = [
    (
        "messages, with caches of both lifetimes",
        Format.MESSAGES,
        {
            "input_tokens": 400,
            "output_tokens": 9,
            "cache_read_input_tokens": 2000,
            "cache_creation_input_tokens": 200,
            "cache_creation": {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50},
        },
        Tokens(input=400, output=9, cache_read=2000, cache_write=150, cache_write_1h=50),
    ),
    (
        "messages, before lifetimes were told apart",
        Format.MESSAGES,
        {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 200},
        Tokens(input=1, output=2, cache_write=200),
    ),
    (
        "messages, with a compaction that the counts of the answer leave out",
        Format.MESSAGES,
        {
            "input_tokens": 23_000,
            "output_tokens": 1_000,
            "iterations": [
                {"type": "compaction", "input_tokens": 100_000, "cache_read_input_tokens": 80_000, "output_tokens": 9},
                {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
                None,
            ],
        },
        Tokens(input=123_000, cache_read=80_000, output=1_009),
    ),
    (
        "responses",
        Format.RESPONSES,
        {
            "input_tokens": 2600,
            "input_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 200},
            "output_tokens": 91,
            "output_tokens_details": {"reasoning_tokens": 40},
        },
        Tokens(input=400, output=91, reasoning=40, cache_read=2000, cache_write=200),
    ),
    (
        "chat",
        Format.CHAT,
        {
            "prompt_tokens": 2600,
            "completion_tokens": 91,
            "prompt_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 200},
            "completion_tokens_details": {"reasoning_tokens": 40},
            "total_tokens": 2691,
        },
        Tokens(input=400, output=91, reasoning=40, cache_read=2000, cache_write=200),
    ),
    (
        "chat of LiteLLM in front of Anthropic",
        Format.CHAT,
        {
            "prompt_tokens": 2600,
            "completion_tokens": 9,
            "cache_read_input_tokens": 2000,
            "cache_creation_input_tokens": 200,
            "total_tokens": 2609,
        },
        Tokens(input=400, output=9, cache_read=2000, cache_write=200),
    ),
    (
        "chat of DeepSeek",
        Format.CHAT,
        {"prompt_tokens": 100, "prompt_cache_hit_tokens": 60, "prompt_cache_miss_tokens": 40, "completion_tokens": 5},
        Tokens(input=40, output=5, cache_read=60),
    ),
    (
        "chat of Moonshot",
        Format.CHAT,
        {"prompt_tokens": 100, "cached_tokens": 60, "completion_tokens": 5, "total_tokens": 105},
        Tokens(input=40, output=5, cache_read=60),
    ),
    (
        "chat of xAI, whose completion leaves out reasoning",
        Format.CHAT,
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 215,
            "completion_tokens_details": {"reasoning_tokens": 200},
        },
        Tokens(input=10, output=205, reasoning=200),
    ),
    (
        "chat whose prompt leaves out what was cached",
        Format.CHAT,
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 515, "cache_read_input_tokens": 500},
        Tokens(input=10, output=5, cache_read=500),
    ),
    (
        "generate: thoughts are billed as output",
        Format.GENERATE,
        {
            "promptTokenCount": 2600,
            "cachedContentTokenCount": 2000,
            "candidatesTokenCount": 51,
            "thoughtsTokenCount": 40,
            "totalTokenCount": 2691,
        },
        Tokens(input=600, output=91, reasoning=40, cache_read=2000),
    ),
    (
        "chat whose prompt is missing, with the total as witness",
        Format.CHAT,
        {"prompt_tokens": 0, "completion_tokens": 5, "total_tokens": 505},
        Tokens(input=500, output=5),
    ),
    ("chat with a total alone, which says nothing of its parts", Format.CHAT, {"total_tokens": 505}, Tokens()),
    (
        "responses whose output leaves out reasoning",
        Format.RESPONSES,
        {"input_tokens": 10, "output_tokens": 5, "total_tokens": 215},
        Tokens(input=10, output=205),
    ),
    (
        "responses whose prompt leaves out what was cached",
        Format.RESPONSES,
        {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 500}, "output_tokens": 5, "total_tokens": 515},
        Tokens(input=10, output=5, cache_read=500),
    ),
    (
        "generate whose candidates are missing",
        Format.GENERATE,
        {"promptTokenCount": 10, "thoughtsTokenCount": 3, "totalTokenCount": 40},
        Tokens(input=10, output=30, reasoning=3),
    ),
    (
        "generate whose prompt is missing",
        Format.GENERATE,
        {"candidatesTokenCount": 5, "totalTokenCount": 505},
        Tokens(input=500, output=5),
    ),
    (
        "chat with sound in prompt and answer",
        Format.CHAT,
        {
            "prompt_tokens": 100,
            "prompt_tokens_details": {"audio_tokens": 60, "text_tokens": 40, "cached_tokens": 50},
            "completion_tokens": 30,
            "completion_tokens_details": {"audio_tokens": 25, "text_tokens": 5, "reasoning_tokens": 0},
        },
        Tokens(input=50, output=30, cache_read=50, input_audio=50, cache_read_audio=10, output_audio=25),
    ),
    (
        "responses with sound in the prompt",
        Format.RESPONSES,
        {"input_tokens": 100, "input_tokens_details": {"audio_tokens": 60}, "output_tokens": 5},
        Tokens(input=100, output=5, input_audio=60),
    ),
    (
        "generate with sound, part of it cached, and more sound than candidates",
        Format.GENERATE,
        {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 40,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 30}, {"modality": "AUDIO", "tokenCount": 70}],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 35}, {"modality": "TEXT", "tokenCount": 5}],
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 4,
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 7}, "odd", {"modality": "AUDIO"}],
        },
        Tokens(input=60, output=9, reasoning=4, cache_read=40, input_audio=35, cache_read_audio=35, output_audio=5),
    ),
    (
        "generate, with what tools put into the prompt",
        Format.GENERATE,
        {"promptTokenCount": 10, "toolUsePromptTokenCount": 90, "candidatesTokenCount": 1},
        Tokens(input=100, output=1),
    ),
]


@pytest.mark.parametrize(("format_", "usage", "tokens"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_usage_is_read_into_buckets_that_do_not_overlap(format_: Format, usage: dict[str, Any], tokens: Tokens) -> None:
    assert read_usage(format_, usage) == tokens


counts = st.integers(0, 1_000_000)
tokens_ = st.tuples(counts, counts, counts, counts, counts, counts).map(
    lambda n: Tokens(
        input=n[0], output=n[1] + n[2], reasoning=n[2], cache_read=n[3], cache_write=n[4], cache_write_1h=n[5]
    )
)


@pytest.mark.parametrize("format_", FORMATS)
@given(tokens=tokens_)
def test_no_token_is_lost_or_counted_twice_on_the_way_through_a_format(format_: Format, tokens: Tokens) -> None:
    read = read_usage(format_, write_usage(format_, tokens))
    assert read is not None
    assert (read.prompt, read.output, read.reasoning, read.cache_read) == (
        tokens.prompt,
        tokens.output,
        tokens.reasoning,
        tokens.cache_read,
    )
    if format_ is Format.MESSAGES:
        assert read == tokens


@pytest.mark.parametrize("format_", [Format.CHAT, Format.GENERATE])
def test_clients_are_told_of_sound(format_: Format) -> None:
    heard = Tokens(input=100, output=30, reasoning=2, cache_read=9, input_audio=60, output_audio=25)
    assert read_usage(format_, write_usage(format_, heard)) == heard


@given(tokens_, tokens_)
def test_reports_of_one_call_merge_to_the_higher_and_never_mix_prompts(one: Tokens, other: Tokens) -> None:
    both = merge(one, other)
    assert both is not None
    assert both.output == max(one.output, other.output)
    assert both.prompt == max(one.prompt, other.prompt)
    if one.prompt == other.prompt:
        # The later report counts: an earlier one may not say yet which part of the prompt came from a cache.
        assert both.cache_read == other.cache_read
    else:
        assert both == merge(both, one)


@pytest.mark.parametrize("usage", [None, {}, [], "many", 3])
def test_no_usage_is_none(usage: object) -> None:
    for format_ in FORMATS:
        assert read_usage(format_, usage) is None


@given(
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "input_tokens", "promptTokenCount", "output_tokens", "total_tokens"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just({}),
    )
)
def test_odd_usage_never_makes_a_negative_count(usage: dict[str, Any]) -> None:
    for format_ in FORMATS:
        tokens = read_usage(format_, usage)
        if tokens is not None:
            assert min(tokens.input, tokens.output, tokens.reasoning, tokens.cache_read, tokens.cache_write) >= 0
