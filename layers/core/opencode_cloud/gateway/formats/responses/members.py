"""Members of requests of Responses on the way to another format."""

from __future__ import annotations

from opencode_cloud.gateway.formats.members import rules

_STORED = "the provider stores it"

MEMBERS = rules(
    carry="model input stream max_output_tokens temperature top_p user safety_identifier prompt_cache_key",
    translate={
        "instructions": "",
        "tool_choice": "it is left out with the tools",
        "text": "format and verbosity",
        "reasoning": "effort and summaries",
    },
    flatten={"tools": "functions of a namespace become `<namespace>__<name>`; tools of the provider are dropped"},
    emulate={"parallel_tool_calls": "the gateway passes on one call where the target has no such member"},
    drop={
        "store": "the gateway stores nothing at providers",
        "include": "reasoning is always included",
        "metadata": "it is for stored answers",
        "client_metadata": "it is for the client's vendor",
        "truncation": "it matters only for prompts that are too long",
        "max_tool_calls": "it limits tools of the provider",
        "context_management": "it only saves tokens of the prompt",
        "service_tier": "tiers without a price are refused earlier",
        "prompt_cache_retention": "it changes the price only",
        "stream_options": "it changes the padding of events only",
    },
    refuse={
        "previous_response_id": _STORED,
        "conversation": _STORED,
        "prompt": _STORED,
        "top_logprobs": "the answer has no place for it",
    },
)
