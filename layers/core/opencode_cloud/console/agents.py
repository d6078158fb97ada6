"""Ready-to-paste configuration of coding agents for a new key, as docs/agents.md describes it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class AgentSetup(msgspec.Struct, frozen=True):
    """The lines that connect one agent."""

    id: str
    name: str
    lines: str


def setups(host: str, key: str, model: str) -> Sequence[AgentSetup]:
    """Return the setup of each agent: URL of the deployment, key, and name of a model in the catalogue."""
    return [
        AgentSetup("opencode", "opencode", f"export OPENCODE_MODELS_URL={host} OPENCODE_API_KEY={key}\nopencode"),
        AgentSetup(
            "claude-code",
            "Claude Code",
            f"export ANTHROPIC_BASE_URL={host}/zen ANTHROPIC_AUTH_TOKEN={key}\n"
            f"export ANTHROPIC_DEFAULT_HAIKU_MODEL={model}\nclaude --model {model}",
        ),
        AgentSetup(
            "codex",
            "Codex",
            f"export OPENCODE_CLOUD_KEY={key}\n"
            f"codex -m {model} -c model_provider=cloud -c model_providers.cloud.name=cloud \\\n"
            f"  -c model_providers.cloud.base_url={host}/zen/v1 \\\n"
            "  -c model_providers.cloud.env_key=OPENCODE_CLOUD_KEY -c model_providers.cloud.wire_api=responses",
        ),
        AgentSetup(
            "gemini",
            "Gemini CLI",
            f"export GEMINI_API_KEY={key} GOOGLE_GEMINI_BASE_URL={host}/zen\ngemini -m {model}",
        ),
        AgentSetup(
            "qwen",
            "Qwen Code",
            f"export OPENAI_API_KEY={key} OPENAI_BASE_URL={host}/zen/v1 OPENAI_MODEL={model}\nqwen --auth-type openai",
        ),
        AgentSetup("cline", "Cline", f"cline auth -p openai-compatible -k {key} -b {host}/zen/v1 -m {model}\ncline"),
        AgentSetup(
            "aider",
            "aider",
            f"export AIDER_OPENAI_API_KEY={key} AIDER_OPENAI_API_BASE={host}/zen/v1\naider --model openai/{model}",
        ),
        AgentSetup(
            "curl",
            "curl",
            f"curl {host}/zen/v1/chat/completions -H 'Authorization: Bearer {key}' \\\n"
            "  -H 'Content-Type: application/json' \\\n"
            f"""  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'""",
        ),
    ]
