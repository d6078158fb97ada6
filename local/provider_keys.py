"""Give the gateway of the laptop keys of model providers from the environment, so that models answer at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local.stack import LocalStack

VARIABLES: Mapping[str, str] = {
    "OPENAI_API_KEY": "openai",
    "ANTHROPIC_API_KEY": "anthropic",
    "GEMINI_API_KEY": "google",
    "OPENROUTER_API_KEY": "openrouter",
}
"""Variables that hold a key, by the upstream of the catalogue that the key is for."""


def keys_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the keys in `environment`, by upstream."""
    return {upstream: key for name, upstream in VARIABLES.items() if (key := environment.get(name, "").strip())}


def take(stack: LocalStack, environment: Mapping[str, str]) -> list[str]:
    """Store the keys of `environment` on the running `stack`; return the upstreams that have one now.

    Keys that are stored already stay, so that a key need not be given at each start.
    """
    return sorted(store(stack, keys_of(environment)))


def store(stack: LocalStack, added: Mapping[str, str]) -> Mapping[str, str]:
    """Store keys by upstream on the running `stack`, beside those that are stored; return all."""
    secrets: Any = stack.client("secretsmanager")
    name = stack.outputs["UpstreamKeysSecretArn"]
    stored: dict[str, str] = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"] or "{}")
    keys = {**stored, **added}
    if keys != stored:
        secrets.put_secret_value(SecretId=name, SecretString=json.dumps(keys))
    return keys
