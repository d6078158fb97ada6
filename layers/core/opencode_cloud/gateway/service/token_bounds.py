"""Bounds on the tokens of a call, known before any upstream is asked.

The prompt's text is counted if the model's tokenizer is known. Otherwise every byte counts as a token: tokenizers that
work on bytes never make more. Content that the request only refers to (files, stored conversations, remote images) has
an unknown size. Then the bound is the model's whole context, because upstreams refuse longer prompts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from opencode_cloud.catalogue.models import Model, Price
from opencode_cloud.catalogue.pricing import worst_cost
from opencode_cloud.gateway.formats import ParsedRequest, overhead_of, prompt_bytes, text_of
from opencode_cloud.kit import bpe

BYTES_PER_TOKEN = 4
"""An average for text and code; used to estimate usage that an upstream did not report."""
DEFAULT_TOKENIZER = "o200k_base"
PIECE_CHARACTERS = 250_000
"""A longer text is counted in pieces of 10 ms, so that the event loop serves other calls in between."""
TOKENS_OF_IMAGE = 1600
"""Tokens of a large picture at most vendors; used for estimates."""
TOKENS_OF_DOCUMENT = 10_000
"""Tokens of a file of some ten pages; used for estimates."""


async def most_prompt_tokens(parsed: ParsedRequest, model: Model, *, exact: bool = True) -> int:
    """Return the most tokens that a prompt can have. ``exact``: count the text if the model's tokenizer is known."""
    most, samplings = _longest_prompt(parsed, model), _samplings(parsed)
    if parsed.unbounded:
        return most * samplings
    if exact and model.tokenizer:
        return min(await count(text_of(parsed), model.tokenizer) + overhead_of(parsed), most) * samplings
    return min(prompt_bytes(parsed), most) * samplings


def most_output_tokens(parsed: ParsedRequest, model: Model, least: int = 1) -> int:
    """Return the most tokens that all answers together can have. A limit below ``least`` is raised to it."""
    limit = model.limits.output if parsed.max_output is None else max(parsed.max_output, least)
    return limit * parsed.answers * _samplings(parsed)


def _samplings(parsed: ParsedRequest) -> int:
    """Return how often the provider may read the prompt and write an answer of the longest kind."""
    return 2 if parsed.compacts else 1


async def worst(
    parsed: ParsedRequest,
    model: Model,
    price: Price,
    *,
    exact: bool = True,
    least_output: int = 1,
    tiers: Sequence[str] = (),
) -> tuple[int, int]:
    """Return the most that a call can cost (micro-cents), and the most tokens that it can use.

    ``least_output`` is the smallest limit of an answer that the upstreams take. ``tiers`` are the priced service tiers
    by which the call can be served, besides the standard one.
    """
    prompt = await most_prompt_tokens(parsed, model, exact=exact)
    output = most_output_tokens(parsed, model, least_output)
    sound = {"hears": parsed.hears, "speaks": bool(parsed.speaks)}
    return worst_cost(price, prompt, output, tiers, **sound), prompt + output


async def counted_prompt(parsed: ParsedRequest, model: Model) -> int:
    """Return the tokens of a prompt for a client that asks for them: its text counted, its media estimated."""
    tokens = await count(text_of(parsed), model.tokenizer or DEFAULT_TOKENIZER)
    return tokens + parsed.images * TOKENS_OF_IMAGE + parsed.documents * TOKENS_OF_DOCUMENT


def estimated_prompt(parsed: ParsedRequest, model: Model) -> int:
    """Return an estimate of the prompt's tokens, for an upstream that did not report them.

    Only the beginning of a long text is counted, and the rest taken to be like it.
    """
    text = text_of(parsed)
    counted = text[:PIECE_CHARACTERS]
    tokens = bpe.count(counted, model.tokenizer or DEFAULT_TOKENIZER) * len(text) // max(1, len(counted))
    tokens += parsed.images * TOKENS_OF_IMAGE + parsed.documents * TOKENS_OF_DOCUMENT
    if parsed.embedding is not None:
        tokens += parsed.embedding.tokens
    return min(tokens, _longest_prompt(parsed, model))


def _longest_prompt(parsed: ParsedRequest, model: Model) -> int:
    """Return the most tokens that the model takes. For embeddings its limit applies to each input."""
    inputs = parsed.embedding.inputs if parsed.embedding is not None else 1
    return (model.limits.input or model.limits.context) * inputs


def estimated_audio(parsed: ParsedRequest, prompt: int) -> int:
    """Return an estimate of the sound in a prompt of ``prompt`` tokens: its files, if one of them is audio."""
    return min(prompt, parsed.documents * TOKENS_OF_DOCUMENT) if parsed.audio else 0


def estimated_output(generated: int) -> int:
    """Return an estimate of the tokens in ``generated`` bytes of an answer, rounded up."""
    return -(-generated // BYTES_PER_TOKEN)


async def count(text: str, tokenizer: str) -> int:
    """Return the number of tokens that ``text`` has in an encoding.

    Each cut between pieces of a long text can change the number by a few tokens.
    """
    tokens = 0
    for start in range(0, len(text), PIECE_CHARACTERS):
        if start:
            await asyncio.sleep(0)
        tokens += bpe.count(text[start : start + PIECE_CHARACTERS], tokenizer)
    return tokens


def warm_up() -> None:
    """Load the default encoding, so that the first call does not wait for it."""
    bpe.count("warm", DEFAULT_TOKENIZER)
