"""Efforts of thinking that models take. An upstream refuses a request with any other.

Clients ask for an effort by default: Claude Code sends one with every call, whatever model answers. Models that are not
named here take every effort, or ignore it. The names are those of :mod:`serving`: the model that serves decides.
"""

from __future__ import annotations

import re
from functools import cache

_ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_MODELS = tuple(
    (re.compile(rf"(?:^|/){model}"), tuple(efforts.split()))
    for model, efforts in (
        # OpenAI, as its errors list them ("Supported values are: ...").
        (r"(?:chatgpt|gpt-[34]|gpt-5[\d.]*-chat|o1-(?:mini|preview))", ""),
        (r"o\d", "low medium high"),
        (r"gpt-5-pro", "high"),
        (r"gpt-5(?![\d.])(?!.*codex)", "minimal low medium high"),
        (r"gpt-5\.1(?!\d)(?!.*codex)", "none low medium high"),
        (r"gpt-5(?:\.1)?-codex(?!-max)", "low medium high"),
        (r"gpt-5\.\d.*codex", "low medium high xhigh"),
        (r"gpt-5\.[2-5](?!\d)-pro", "medium high xhigh"),
        (r"gpt-5\.[2-5](?!\d)", "none low medium high xhigh"),
        (r"gpt-(?:6\.|6-astra)", "low medium high xhigh max"),
        (r"gpt-(?:5\.|[6-9])", "none low medium high xhigh max"),
        # xAI: "reasoning_effort is not supported".
        (r"grok-3-mini", "low high"),
        (r"grok-(?:[23](?!\d)|4(?![\d.])|code)", ""),
        # Google, by levels. Earlier models have budgets.
        (r"gemini-[12](?!\d)", "none minimal low medium high"),
        (r"gemini-3-pro", "low high"),
        (r"gemini-\d+(?:\.\d+)?-pro", "low medium high"),
        (r"gemini-3\.[7-9]-flash(?!-lite)", "low medium high"),
        (r"gemini-", "minimal low medium high"),
    )
)
"""Models by the beginning of their names, and the efforts that they take, in order; none: the model does not think."""


_NO_TOOLS_IN_CHAT = re.compile(r"gpt-(?:5\.[6-9](?!\d)|[6-9]|\d\d)")
"""Matches models of OpenAI that call tools in Chat Completions only if they are told not to think."""
_NO_EFFORT_IN_CHAT = re.compile(r"gpt-5\.[45](?!\d)")
"""Matches those that call tools there only without an effort."""


def refuses_tools_in_chat(model: str, effort: str) -> bool:
    """Tell whether OpenAI refuses tools with this effort in Chat Completions. Responses takes them."""
    if effort == "none":
        return False
    return _NO_TOOLS_IN_CHAT.match(model) is not None or (bool(effort) and _NO_EFFORT_IN_CHAT.match(model) is not None)


def thinks(model: str) -> bool:
    """Tell whether a model takes an effort at all."""
    return _efforts_of(model) != ()


def effort_within(effort: str, model: str) -> str:
    """Return the least effort of a model that is not below the given one, else its highest; empty: it takes none."""
    taken = _efforts_of(model)
    if taken is None or effort in taken or effort not in _ORDER:
        return effort
    least = _ORDER.index(effort)
    return next((each for each in taken if _ORDER.index(each) >= least), taken[-1] if taken else "")


@cache
def _efforts_of(model: str) -> tuple[str, ...] | None:
    """Return the efforts that a model takes; None: they are unknown."""
    return next((efforts for name, efforts in _MODELS if name.search(model)), None)
