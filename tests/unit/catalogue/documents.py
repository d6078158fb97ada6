"""Documents of tests."""

from __future__ import annotations

import copy
import json
from typing import Any

DAY = 86_400
LONG_AGO = "2025-01-01T00:00:00Z"

DOCUMENT: dict[str, Any] = {
    "provider": {"id": "acme", "name": "Acme"},
    "small_model": "tiny",
    "upstreams": {
        "openai": {"kind": "openai", "name": "OpenAI"},
        "anthropic": {"kind": "anthropic", "name": "Anthropic"},
        "bedrock": {"kind": "bedrock", "name": "Bedrock", "region": "eu-west-1", "byok": False},
        "vllm": {"kind": "openai-compatible", "name": "vLLM", "base_url": "http://10.0.0.7:8000/v1/"},
    },
    "models": {
        "big": {
            "name": "Big",
            "format": "messages",
            "family": "big",
            "aliases": ["biggest", "big-latest"],
            "limits": {"context": 200_000, "output": 64_000},
            "prices": [
                {
                    "from": LONG_AGO,
                    "input": "3.00",
                    "output": "15",
                    "cache_read": "0.30",
                    "cache_write": "3.75",
                    "cache_write_1h": "6",
                    "tiers": [{"above": 200_000, "input": "6", "output": "22.50"}],
                }
            ],
            "routes": [
                {"upstream": "anthropic", "model": "claude-big"},
                {"upstream": "bedrock", "model": "global.anthropic.claude-big", "priority": 2},
            ],
            "listing": {"attachment": True, "reasoning": True, "modalities": {"input": ["text", "image"]}},
        },
        "tiny": {
            "name": "Tiny",
            "format": "responses",
            "tokenizer": "o200k_base",
            "limits": {"context": 100_000, "output": 8_000, "input": 90_000},
            "prices": [{"from": LONG_AGO, "input": "0.05", "output": "0.40"}],
            "routes": [{"upstream": "openai", "model": "gpt-tiny", "weight": 3, "formats": ["responses"]}],
        },
        "own": {
            "name": "Our own",
            "format": "chat",
            "limits": {"context": 32_000, "output": 4_000},
            "prices": [{"from": LONG_AGO, "input": "0", "output": "0"}],
            "routes": [{"upstream": "vllm", "model": "qwen"}],
        },
        "vectors": {
            "name": "Vectors",
            "kind": "embedding",
            "tokenizer": "cl100k_base",
            "limits": {"context": 8_192},
            "prices": [{"from": LONG_AGO, "input": "0.02"}],
            "routes": [{"upstream": "openai", "model": "text-embedding-3-small"}],
        },
    },
}


def document(**changes: Any) -> dict[str, Any]:
    """Return a valid document with some top-level members replaced."""
    return {**copy.deepcopy(DOCUMENT), **changes}


def with_model(model: str, /, **changes: Any) -> dict[str, Any]:
    """Return a valid document with some members of a model replaced."""
    changed = document()
    changed["models"][model] |= changes
    return changed


def text(written: dict[str, Any]) -> str:
    return json.dumps(written)
