"""Members of requests of Chat Completions on the way to another format."""

from __future__ import annotations

from opencode_cloud.gateway.formats.members import rules

MEMBERS = rules(
    carry="model messages stream max_tokens max_completion_tokens temperature top_p top_k seed frequency_penalty "
    "presence_penalty verbosity user safety_identifier prompt_cache_key",
    translate={
        "tools": "tools of the provider are dropped; custom tools become functions with one string",
        "tool_choice": "it is left out with the tools",
        "response_format": "",
        "reasoning_effort": "",
        "reasoning": "of OpenRouter",
        "thinking": "of several compatible servers",
        "stream_options": "other formats always report usage",
        "n": "one answer only; more are refused",
        "modalities": "text only; sound is refused",
    },
    emulate={
        "stop": "the gateway ends the answer where the target has no such member",
        "parallel_tool_calls": "the gateway passes on one call where the target has no such member",
    },
    drop={
        "store": "the gateway stores nothing at providers",
        "metadata": "it is for stored answers",
        "prediction": "it changes the speed only",
        "service_tier": "tiers without a price are refused earlier",
        "prompt_cache_retention": "it changes the price only",
    },
    refuse={
        "logit_bias": "it changes the answer",
        "logprobs": "the answer has no place for it",
        "top_logprobs": "the answer has no place for it",
        "audio": "the answer has no place for it",
        "functions": "send `tools`",
        "function_call": "send `tool_choice`",
    },
)
