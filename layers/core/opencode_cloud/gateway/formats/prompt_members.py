"""Members of request bodies by what they mean for the prompt, of all formats that the gateway knows.

The formats share these sets: a compatible server may pass on members of another vendor's format.
"""

from __future__ import annotations

VERBATIM = frozenset(
    {
        "tools",
        "input_schema",
        "parameters",
        "schema",
        "args",
        "response",
        "response_format",
        "responseSchema",
        "responseJsonSchema",
        "response_schema",
        "response_json_schema",
        "output_config",
    }
)
"""Members that the model sees as JSON, including names."""

SETTINGS = frozenset(
    {
        "model",
        "metadata",
        "labels",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "service_tier",
        "stream_options",
        "include",
        "tool_choice",
        "toolConfig",
        "tool_config",
        "safetySettings",
        "safety_settings",
        "thinking",
        "reasoning",
        "reasoning_effort",
    }
)
"""Members that are not part of the prompt. An unknown member can be part of it, so it counts."""
