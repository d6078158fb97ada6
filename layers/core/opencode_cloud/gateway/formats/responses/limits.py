"""Limits of Responses, as OpenAI states them."""

from __future__ import annotations

import re

from opencode_cloud.gateway.formats.limits import VERBOSE, TargetLimits

LIMITS = TargetLimits(
    longest_user=64,
    address_as_user=True,
    least_output=16,
    tool_name=re.compile(r"[a-zA-Z0-9_-]+"),
    longest_name=64,
    most_tools=None,
    uncounted_models=None,
    strict_schemas=True,
    closed_tools=True,
    most_stops=0,
    blank_stops=True,
    trailing_space=True,
    first_turn=True,
    unfinishing_models=None,
    repeated_turns=True,
    one_call=True,
    parallel_models=None,
    plain_models=re.compile(r"(?:^|/)(?:o[1-9]|gpt-(?:[5-9]|\d\d))(?!.*chat)"),
    unsampled_models=None,
    verbose_models=VERBOSE,
    most_marks=0,
    ignored=frozenset({"top_k", "seed", "frequency_penalty", "presence_penalty"}),
    free_json=True,
    toolless_json=None,
)
