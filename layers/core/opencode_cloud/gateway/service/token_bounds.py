"""The most that a call can use, known before it is made.

Of models whose tokenizer is known, the prompt's text is counted. Of others, every byte of it may be a token: tokenizers
that work on bytes never make more. Whatever the request only points to (files, stored conversations, remote images) is
of unknown size, so there the model's whole context is assumed; longer prompts an upstream refuses.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from opencode_cloud.catalogue.models import Model, Price
from opencode_cloud.catalogue.pricing import worst_cost
from opencode_cloud.gateway.formats import ParsedRequest, overhead_of, prompt_bytes, text_of

BYTES_PER_TOKEN = 4
"""Of text and code in the tokenizers of large models, about; used where an upstream did not say what was used."""
COUNTED_BY_DEFAULT = "o200k_base"
TOKENS_OF_IMAGE = 1600
"""Of a large one at most vendors; used as above."""
TOKENS_OF_DOCUMENT = 10_000


def most_prompt_tokens(parsed: ParsedRequest, model: Model, *, exact: bool = True) -> int:
    """Return the most tokens that a prompt can have; ``exact`` counts them where the model's tokenizer is known."""
    most = model.limits.input or model.limits.context
    if parsed.unbounded:
        return most
    if exact and model.tokenizer:
        return min(count(text_of(parsed), model.tokenizer) + overhead_of(parsed), most)
    return min(prompt_bytes(parsed), most)


def most_output_tokens(parsed: ParsedRequest, model: Model) -> int:
    """Return the most tokens that all answers together can have."""
    return (model.limits.output if parsed.max_output is None else parsed.max_output) * parsed.answers


def worst(parsed: ParsedRequest, model: Model, price: Price, *, exact: bool = True) -> tuple[int, int]:
    """Return the most that a call can cost (micro-cents), and the most tokens that it can use."""
    prompt, output = most_prompt_tokens(parsed, model, exact=exact), most_output_tokens(parsed, model)
    return worst_cost(price, prompt, output), prompt + output


def estimated_prompt(parsed: ParsedRequest, model: Model) -> int:
    """Return about how many tokens a prompt has, for an upstream that did not say."""
    tokens = count(text_of(parsed), model.tokenizer or COUNTED_BY_DEFAULT)
    tokens += parsed.images * TOKENS_OF_IMAGE + parsed.documents * TOKENS_OF_DOCUMENT
    return min(tokens, model.limits.input or model.limits.context)


def estimated_output(generated: int) -> int:
    """Return about how many tokens ``generated`` bytes of an answer are."""
    return -(-generated // BYTES_PER_TOKEN)


def count(text: str, tokenizer: str) -> int:
    """Return the number of tokens that ``text`` has in an encoding, which is one of OpenAI's."""
    return len(_encoding(tokenizer).encode_ordinary(text))


def warm_up() -> None:
    """Load the encoding that most calls need, before the first of them waits for it."""
    count("warm", COUNTED_BY_DEFAULT)


@cache
def _encoding(name: str) -> Any:
    from bpe_openai import get_encoding  # pyright: ignore[reportMissingTypeStubs]

    return get_encoding(name)
