"""Members of requests of Messages on the way to another format."""

from __future__ import annotations

from opencode_cloud.gateway.formats.members import rules

MEMBERS = rules(
    carry="model messages stream max_tokens temperature top_p top_k",
    translate={
        "system": "",
        "tools": "tools that the provider runs or defines are dropped",
        "tool_choice": "it is left out with the tools",
        "thinking": "",
        "output_config": "effort and format",
        "output_format": "the earlier name of the format",
        "metadata": "the id of the user",
        "cache_control": "a mark at the end of the prompt",
    },
    emulate={"stop_sequences": "the gateway ends the answer where the target has no such member"},
    drop={
        "context_management": "it only saves tokens of the prompt",
        "compaction": "it only saves tokens of the prompt",
        "service_tier": "tiers without a price are refused earlier",
        "speed": "speeds without a price are refused earlier",
        "inference_geo": "regions without a price are refused earlier",
    },
    refuse={"thread": "it names a conversation that the provider stores"},
)
