"""Limits of Messages, as Anthropic states them."""

from __future__ import annotations

import re

from opencode_cloud.gateway.formats.limits import UNFINISHING, TargetLimits

UNSAMPLED = re.compile(r"claude-(?:[a-z]+-)?(?:4[-.](?:[7-9]|\d\d)(?!\d)|(?:[5-9]|\d\d)(?!\d))|claude-(?:mythos|fable)")
"""Claude from 4.7 on refuses each setting of sampling ("`temperature` is deprecated for this model")."""

LIMITS = TargetLimits(
    longest_user=256,
    address_as_user=False,
    least_output=1,
    tool_name=re.compile(r"[a-zA-Z0-9_-]+"),
    longest_name=128,
    most_tools=None,
    uncounted_models=None,
    strict_schemas=True,
    closed_tools=False,
    most_stops=8191,
    blank_stops=False,
    trailing_space=False,
    first_turn=False,
    unfinishing_models=UNFINISHING,
    repeated_turns=False,
    one_call=True,
    parallel_models=None,
    plain_models=None,
    unsampled_models=UNSAMPLED,
    verbose_models=None,
    most_marks=4,
    ignored=frozenset({"seed", "frequency_penalty", "presence_penalty", "cache_key"}),
    free_json=False,
    toolless_json=None,
)
