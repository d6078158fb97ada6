"""The names by which vendors' clients call a model of the catalogue: with a date, a vendor or a variant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opencode_cloud.catalogue.models import Catalogue, Model

_DATE = re.compile(r"[-@](?:20\d{6}|20\d\d-\d\d-\d\d|latest|00\d)$")
"""The end of a vendor's dated or numbered name. The catalogue has the name without it."""
_VARIANT = re.compile(r"\[[0-9a-z]{1,8}\]$")
"""A variant of Claude Code's, such as `[1m]`, which is about the client's own context."""
_VENDOR = re.compile(
    r"^(?:(?:models|publishers|openrouter|bedrock|vertex_ai|azure|gemini|anthropic|google|openai|x-ai|xai|deepseek"
    r"|moonshotai|z-ai|qwen|mistralai|meta-llama|minimax)/)+"
)
"""Routers and vendors before the name, as clients of routers, LiteLLM and Google have them."""
_DOTTED = re.compile(r"(?<=\d)\.(?=\d)")
"""A dot in the version of a model, as routers write it where Anthropic has a hyphen: `claude-sonnet-4.5`."""
_BEDROCK = re.compile(r"^(?:[a-z]{2,6}\.)?(?:anthropic|amazon|meta|mistral|deepseek|openai)\.|-v\d+(?::\d+)?$")
"""The beginning and the end of a name as Amazon Bedrock has it."""


def find_model(catalogue: Catalogue, name: str) -> Model | None:
    """Return the model that a client means; None: there is none. The name as it is has precedence."""
    return next((model for spelling in _spellings(name) if (model := catalogue.find(spelling))), None)


def _spellings(name: str) -> Iterator[str]:
    plain = _VARIANT.sub("", name)
    bare = _VENDOR.sub("", plain)
    for spelling in (name, plain, bare, _BEDROCK.sub("", bare)):
        yield spelling
        yield _DATE.sub("", spelling)
    yield _DOTTED.sub("-", _DATE.sub("", bare))
