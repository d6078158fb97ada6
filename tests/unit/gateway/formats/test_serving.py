"""Rules of models judge by the model that serves: by the upstream's name, or by the id where that name tells none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import forward_request, serving_name
from tests.unit.gateway.formats.speaking import ask

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def sent(client: Format, target: Format, upstream_model: str, model_id: str, **members: Any) -> dict[str, Any]:
    forwarded = forward_request(ask(client, **members), target, upstream_model, str, model_id=model_id)
    return json.loads(forwarded.body)


@pytest.mark.parametrize(
    ("upstream_model", "model_id", "named"),
    [
        ("prod-east-7", "gpt-5", "gpt-5"),
        ("acme-gpt-5-east", "gpt-5", "gpt-5"),
        ("gpt-prod", "gpt-5.1", "gpt-5.1"),
        (PROFILE, "claude-opus-4-7", "claude-opus-4-7"),
        ("projects/1/locations/us/endpoints/2", "gemini-3-pro", "gemini-3-pro"),
        ("gpt-5", "coder", "gpt-5"),
        ("openai/gpt-5.1", "gpt-4o", "openai/gpt-5.1"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "gpt-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("Llama-3.3-70B", "gpt-5", "Llama-3.3-70B"),
        ("prod-east-7", "coder", "prod-east-7"),
        ("prod-east-7", "", "prod-east-7"),
    ],
)
def test_the_upstreams_name_counts_unless_it_tells_no_model(upstream_model: str, model_id: str, named: str) -> None:
    assert serving_name(upstream_model, model_id) == named


@pytest.mark.parametrize(
    ("upstream_model", "model_id", "given", "taken"),
    [
        ("prod-east-7", "gpt-5", "max", "high"),
        ("prod-east-7", "gpt-5", "minimal", "minimal"),
        ("gpt-5", "gpt-4o", "high", "high"),
        ("gpt-4o", "gpt-5", "high", None),
        ("Llama-3.3-70B", "gpt-4o", "max", "max"),
        ("prod-east-7", "coder", "max", "max"),
    ],
)
def test_a_renamed_deployment_keeps_the_effort_that_its_model_takes(
    upstream_model: str, model_id: str, given: str, taken: str | None
) -> None:
    effort = {"thinking": {"type": "adaptive"}, "output_config": {"effort": given}}
    chat = sent(Format.MESSAGES, Format.CHAT, upstream_model, model_id, **effort)
    assert (chat["model"], chat.get("reasoning_effort")) == (upstream_model, taken)
    responses = sent(Format.MESSAGES, Format.RESPONSES, upstream_model, model_id, **effort)
    assert (responses["model"], responses.get("reasoning", {}).get("effort")) == (upstream_model, taken)


def test_a_renamed_deployment_has_the_limits_of_its_model() -> None:
    body = sent(Format.MESSAGES, Format.CHAT, "prod-east-7", "gpt-5", temperature=0.5)
    assert body["max_completion_tokens"] == 4096
    assert not {"max_tokens", "temperature"} & set(body)
    other = sent(Format.MESSAGES, Format.CHAT, "Llama-3.3-70B", "gpt-5", temperature=0.5)
    assert (other["max_tokens"], other["temperature"]) == (4096, 0.5)


def test_a_renamed_claude_thinks_in_the_form_of_its_generation() -> None:
    body = sent(Format.CHAT, Format.MESSAGES, PROFILE, "claude-opus-4-7", reasoning_effort="high", temperature=0.5)
    assert (body["model"], body["thinking"]["type"]) == (PROFILE, "adaptive")
    assert body["output_config"] == {"effort": "high"}
    assert "temperature" not in body
    body = sent(Format.CHAT, Format.MESSAGES, PROFILE, "claude-sonnet-4-5", reasoning_effort="high")
    assert body["thinking"]["type"] == "enabled"


def test_a_renamed_gemini_gets_levels() -> None:
    body = sent(Format.CHAT, Format.GENERATE, "endpoints/2", "gemini-2.5-flash", reasoning_effort="low")
    assert body["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 4096}
    assert "model" not in body


def test_a_renamed_deployment_returns_its_reasoning_in_its_own_format_too() -> None:
    body = sent(Format.RESPONSES, Format.RESPONSES, "prod-east-7", "gpt-5")
    assert (body["model"], body["include"]) == ("prod-east-7", ["reasoning.encrypted_content"])
    assert "include" not in sent(Format.RESPONSES, Format.RESPONSES, "gpt-4o", "gpt-5")


def test_an_effort_in_the_upstreams_own_format_keeps_its_bytes() -> None:
    body = sent(Format.CHAT, Format.CHAT, "prod-east-7", "gpt-5", reasoning_effort="max", tools=[FUNCTION])
    assert (body["model"], body["reasoning_effort"]) == ("prod-east-7", "max")
