"""Limits of Chat Completions, as OpenAI states them."""

from __future__ import annotations

import re

from opencode_cloud.gateway.formats.limits import UNFINISHING, VERBOSE, TargetLimits

LIMITS = TargetLimits(
    longest_user=64,
    address_as_user=True,
    least_output=1,
    tool_name=re.compile(r"[a-zA-Z0-9_-]+"),
    longest_name=64,
    most_tools=128,
    uncounted_models=re.compile(r"^(?!(?:.*/)?(?:o[1-9]|chatgpt|gpt-(?!oss)))"),
    strict_schemas=True,
    closed_tools=True,
    most_stops=4,
    blank_stops=True,
    trailing_space=True,
    first_turn=True,
    unfinishing_models=UNFINISHING,
    repeated_turns=False,
    one_call=True,
    parallel_models=re.compile(r"(?:^|/)o[1-9]"),
    plain_models=re.compile(r"(?:^|/)(?:o[1-9]|gpt-(?:[5-9]|\d\d))(?!.*chat)"),
    unsampled_models=None,
    verbose_models=VERBOSE,
    most_marks=0,
    ignored=frozenset({"top_k"}),
    free_json=True,
    toolless_json=None,
)
