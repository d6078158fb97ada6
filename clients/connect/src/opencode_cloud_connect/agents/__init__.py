"""The agents that can be connected. Each module knows one agent's files, from the agent's own documentation."""

from __future__ import annotations

from typing import Final

from opencode_cloud_connect.agents.agent import Agent, Places, Settings
from opencode_cloud_connect.agents.aider import AIDER
from opencode_cloud_connect.agents.claude_code import CLAUDE_CODE
from opencode_cloud_connect.agents.cline import CLINE
from opencode_cloud_connect.agents.codex import CODEX
from opencode_cloud_connect.agents.gemini import GEMINI
from opencode_cloud_connect.agents.llm import LLM
from opencode_cloud_connect.agents.opencode import OPENCODE
from opencode_cloud_connect.agents.qwen import QWEN

__all__ = ["AGENTS", "Agent", "Places", "Settings"]

AGENTS: Final[dict[str, Agent]] = {
    agent.name: agent for agent in (CLAUDE_CODE, CODEX, GEMINI, QWEN, CLINE, AIDER, LLM, OPENCODE)
}
"""The agents by the names of the command line."""
