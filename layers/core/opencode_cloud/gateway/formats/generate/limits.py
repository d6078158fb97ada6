"""Limits of generateContent, as Google states them."""

from __future__ import annotations

import re

from opencode_cloud.gateway.formats.limits import TargetLimits

LIMITS = TargetLimits(
    longest_user=256,
    address_as_user=True,
    least_output=1,
    tool_name=re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]*"),
    longest_name=64,
    most_tools=512,
    uncounted_models=None,
    strict_schemas=False,
    closed_tools=False,
    most_stops=5,
    blank_stops=True,
    trailing_space=True,
    first_turn=False,
    unfinishing_models=None,
    repeated_turns=False,
    one_call=False,
    parallel_models=None,
    plain_models=None,
    unsampled_models=None,
    verbose_models=None,
    most_marks=0,
    ignored=frozenset({"user", "cache_key"}),
    free_json=True,
    toolless_json=re.compile(r"gemini-[12](?!\d)"),
)
