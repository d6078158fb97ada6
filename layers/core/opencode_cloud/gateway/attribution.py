"""The project and the program of a call, by the headers of its client. Clients state both; neither proves anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from opencode_cloud.contracts.projects import PROJECT_HEADER, is_project, is_project_header

AGENTS = (
    ("playground", "playground"),
    ("opencode", "opencode"),
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("geminicli", "gemini-cli"),
    ("gemini-cli", "gemini-cli"),
    ("qwencode", "qwen-code"),
    ("qwen-code", "qwen-code"),
    ("cline", "cline"),
    ("roo", "roo-code"),
    ("kilo", "kilo-code"),
    ("aider", "aider"),
    ("goose", "goose"),
    ("charm-crush", "crush"),
    ("crush", "crush"),
    ("githubcopilot", "copilot"),
    ("copilot", "copilot"),
    ("cursor", "cursor"),
    ("zed", "zed"),
    ("openhands", "openhands"),
    ("litellm", "litellm"),
    ("langchain", "langchain"),
    ("llamaindex", "llamaindex"),
    ("ai-sdk", "ai-sdk"),
    ("openai", "openai-sdk"),
    ("asyncopenai", "openai-sdk"),
    ("anthropic", "anthropic-sdk"),
    ("asyncanthropic", "anthropic-sdk"),
    ("google-genai-sdk", "google-sdk"),
    ("curl", "curl"),
)
"""Beginnings of a product in user agents, and the name in usage. The first that is found counts.

Agents precede the libraries that they call with: ``opencode/1.18.33 ai-sdk/provider-utils/4``.
"""
NAMING = ("user-agent", "x-title", "originator")
"""Headers in which programs name themselves, in order of precedence. The last one is Codex's."""
LONGEST_HEADER = 200
"""Characters of a header that are searched."""
_OPENCODE = "x-opencode-"
_PRODUCTS = re.compile(r"[a-z][a-z0-9-]*")


def naming_projects(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that may name a project. None of them holds a secret."""
    return {name: value for name, value in headers.items() if name == PROJECT_HEADER or is_project_header(name)}


def project_of(headers: Mapping[str, str], chosen: Sequence[str]) -> str:
    """Return the project of a call: of the workspace's ``chosen`` headers, else of opencode's own.

    The first header with a value counts. A value that cannot be the name of a project gives an empty one.
    """
    value = next((value for name in (*chosen, PROJECT_HEADER) if (value := headers.get(name, "").strip())), "")
    return value if is_project(value) else ""


def agent_of(headers: Mapping[str, str]) -> str:
    """Return the name of the client's program; empty if it is unknown."""
    for name in NAMING:
        if agent := _known(headers.get(name, "")[:LONGEST_HEADER].lower()):
            return agent
    unnamed = not headers.get("user-agent")
    return "opencode" if unnamed and any(name.startswith(_OPENCODE) for name in headers) else ""


@lru_cache(maxsize=1024)
def _known(text: str) -> str:
    products = _PRODUCTS.findall(text)
    return next((agent for start, agent in AGENTS if any(product.startswith(start) for product in products)), "")
