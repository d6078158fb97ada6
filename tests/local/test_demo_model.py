"""The scripted model of the laptop, through OpenAI's library; and its place in a catalogue."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from local.demo_model import MODEL, SMALL_MODEL, DemoModel
from local.demo_model.offering import UPSTREAM, Offer, with_model
from local.demo_model.server import CONTEXT
from opencode_cloud.catalogue.document import form_of, load
from opencode_cloud.catalogue.service.starting import starting_text
from opencode_cloud.catalogue.validation import faults_of
from opencode_cloud.kit.clock import now_seconds

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = ("app.py", "cdk.json", "infra", "functions", "layers", "migrations", "web")
BASH = {
    "type": "object",
    "properties": {"command": {"type": "string"}, "description": {"type": "string"}, "timeout": {"type": "number"}},
    "required": ["command", "description"],
}
READ = {
    "type": "object",
    "properties": {"filePath": {"type": "string"}, "limit": {"type": "integer"}},
    "required": ["filePath"],
}
RATE = {
    "type": "object",
    "properties": {"score": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
    "required": ["score", "tags"],
}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": schema}}
    for name, schema in {"bash": BASH, "read": READ, "rate": RATE}.items()
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoModel]:
    running = DemoModel(tmp_path_factory.mktemp("model"), ROOT)
    running.start(pace=0)
    yield running
    running.program.stop()


@pytest.fixture(scope="module")
def client(model: DemoModel) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=model.url, api_key="any", max_retries=0) as client:
        yield client


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


def answer(client: openai.OpenAI, text: str, name: str = MODEL, **more: Any) -> str:
    message = client.chat.completions.create(model=name, messages=said(text), **more).choices[0].message
    assert not message.tool_calls
    return message.content or ""


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("hello", "Hello! I am demo-scripted"),
        ('"what are you?"', "no neural network"),
        ("What is 17 * 23?", "17 * 23 = 391"),
        ("0.1 + 0.2", "0.1 + 0.2 = 0.3"),
        ("1 / 0", "divided by zero"),
        ("please count to 3", "1, 2, 3."),
        ("write some code", "```python"),
        ("<system-reminder>Be brief.</system-reminder>", 'You said: ""'),
        ("Grüße aus Köln", 'You said: "Grüße aus Köln"'),
    ],
)
def test_a_prompt_is_answered_by_the_script_and_always_alike(client: openai.OpenAI, prompt: str, expected: str) -> None:
    first = answer(client, prompt, tools=TOOLS)
    assert expected in first
    assert answer(client, prompt, tools=TOOLS) == first


def test_the_small_model_says_the_first_paragraph(client: openai.OpenAI) -> None:
    whole, short = (answer(client, "tell a long story", name) for name in (MODEL, SMALL_MODEL))
    assert whole.startswith(f"{short}\n\n")
    assert {each.id for each in client.models.list()} == {MODEL, SMALL_MODEL}


def test_a_stream_has_the_same_words_and_usage_as_a_whole_answer(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=said("tell a long story"))
    stream = client.chat.completions.create(
        model=MODEL, messages=said("tell a long story"), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    words = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert len(words) > 100, "word by word"
    assert "".join(words) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    silent = client.chat.completions.create(model=MODEL, messages=said("hello"), stream=True)
    assert all(chunk.usage is None for chunk in silent), "usage only where it is asked for"


def test_usage_adds_up_and_grows_with_the_conversation(client: openai.OpenAI) -> None:
    messages = said("hello")
    before = 0
    for _ in range(3):
        done = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
        used, text = done.usage, done.choices[0].message.content or ""
        assert used is not None
        assert used.prompt_tokens_details is not None
        assert used.total_tokens == used.prompt_tokens + used.completion_tokens
        assert used.completion_tokens == -(-len(text.encode()) // 4)
        assert used.prompt_tokens_details.cached_tokens == before, "all that the request before has sent"
        before = used.prompt_tokens
        messages = [*messages, {"role": "assistant", "content": text}, *said("and now?")]


def test_an_answer_ends_at_its_limit(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(model=MODEL, messages=said("Grüße"), max_completion_tokens=3)
    assert done.choices[0].finish_reason == "length"
    assert done.usage is not None
    assert done.usage.completion_tokens == 3


@pytest.mark.parametrize(
    ("prompt", "tool", "arguments"),
    [
        ("run `ls -l`", "bash", {"command": "ls -l", "description": "asked for: ls -l"}),
        ("Please read `README.md` for me", "read", {"filePath": "README.md"}),
        ('use the tool rate with {"score": 5, "tags": []}', "rate", {"score": 5, "tags": []}),
    ],
)
def test_a_tool_is_called_when_the_prompt_asks_for_it(
    client: openai.OpenAI, prompt: str, tool: str, arguments: dict[str, Any]
) -> None:
    done = client.chat.completions.create(model=MODEL, messages=said(prompt), tools=TOOLS).choices[0]
    assert done.finish_reason == "tool_calls"
    (call,) = done.message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == (tool, arguments)
    stream = client.chat.completions.create(model=MODEL, messages=said(prompt), tools=TOOLS, stream=True)
    deltas = [each for chunk in stream for each in chunk.choices[0].delta.tool_calls or ()]
    written = "".join((each.function.arguments or "") if each.function else "" for each in deltas)
    assert json.loads(written) == arguments
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "one\ntwo"}]
    turn = [*said(prompt), done.message.model_dump(exclude_none=True), *results]
    after = client.chat.completions.create(model=MODEL, messages=turn, tools=TOOLS).choices[0]
    assert after.finish_reason == "stop"
    assert "2 lines" in str(after.message.content)


def test_a_forced_tool_gets_arguments_of_its_form(client: openai.OpenAI) -> None:
    choice: Any = {"type": "function", "function": {"name": "rate"}}
    done = client.chat.completions.create(model=MODEL, messages=said("hi"), tools=TOOLS, tool_choice=choice)
    (call,) = done.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"score": 1, "tags": ["hi"]}


@pytest.mark.parametrize("prompt", ["run `ls`", 'use bash with {"command": "ls"}', "read `x`"])
def test_no_tool_is_called_that_is_not_offered(client: openai.OpenAI, prompt: str) -> None:
    assert answer(client, prompt)


def test_a_title_is_made_of_the_first_words(client: openai.OpenAI) -> None:
    messages: Any = [
        {"role": "system", "content": "You are a title generator. You output ONLY a thread title."},
        *said("why is the checkout page (still) so slow today?"),
    ]
    done = client.chat.completions.create(model=SMALL_MODEL, messages=messages)
    assert done.choices[0].message.content == "Why is the checkout page still"


def test_what_is_no_request_is_refused(model: DemoModel, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        answer(client, "hi", "gpt-5")
    with pytest.raises(openai.BadRequestError, match="context length"):
        answer(client, "x" * (4 * CONTEXT + 4))
    with httpx.Client(trust_env=False) as plain:
        for body in ("{", "[]", "{}", '{"messages": []}', '{"messages": [{"role": "system"}]}'):
            refused = plain.post(f"{model.url}/chat/completions", content=body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")


def test_a_port_that_was_taken_meanwhile_is_exchanged(model: DemoModel, tmp_path: Path) -> None:
    second = DemoModel(tmp_path, ROOT)
    try:
        second.start(model.port, pace=0)
        assert second.port != model.port
    finally:
        second.program.stop()


def test_the_catalogue_with_the_model_is_valid_and_keeps_what_an_operator_wrote() -> None:
    before = json.loads(starting_text())
    alone = with_model(before, Offer("http://127.0.0.1:1/v1", writes_titles=True))
    assert not faults_of(form_of(load(json.dumps(alone))), now_seconds(), {})
    assert alone["small_model"] == SMALL_MODEL
    moved = with_model(alone, Offer("http://127.0.0.1:2/v1", writes_titles=False))
    assert moved["upstreams"][UPSTREAM]["base_url"] == "http://127.0.0.1:2/v1"
    assert "small_model" not in moved, "a provider's model writes titles again"
    assert moved["models"].keys() - before["models"].keys() == {MODEL, SMALL_MODEL}
    name = secrets.token_hex(4)
    moved["models"][MODEL]["name"] = name
    own = with_model({**moved, "small_model": "gpt-5"}, Offer("http://127.0.0.1:3/v1", writes_titles=True))
    assert (own["models"][MODEL]["name"], own["small_model"]) == (name, "gpt-5")


def test_nothing_that_is_deployed_knows_the_model() -> None:
    files = [path for name in DEPLOYED for path in (ROOT / name, *(ROOT / name).rglob("*")) if path.is_file()]
    assert len(files) > 500
    words = (MODEL.encode(), UPSTREAM.encode(), b"demo_model")
    found = [
        path for path in files if "__pycache__" not in path.parts if any(word in path.read_bytes() for word in words)
    ]
    assert not found
