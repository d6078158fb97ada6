"""Servers that do not know a part of a request: the call is repeated without it, and the next calls omit it at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import UpstreamFault, adaptable_parts, adapted, parts_in, refused_parts
from opencode_cloud.gateway.models import Circuit, UpstreamTarget
from opencode_cloud.gateway.service.refused_parts import MOST_CIRCUITS, REMEMBERED_SECONDS, RefusedParts
from tests.unit.gateway.calling import Rig, Scripted

CHAT = adaptable_parts(Format.CHAT)
PARTS = frozenset(
    {
        *("user", "seed", "prompt_cache_key", "verbosity", "parallel_tool_calls", "metadata"),
        *("max_completion_tokens", "developer", "reasoning_content"),
    }
)

NAMED: list[tuple[str, set[str]]] = [
    ("Unrecognized request argument supplied: user", {"user"}),
    ("Unknown parameter: 'prompt_cache_key'.", {"prompt_cache_key"}),
    ("body.user: Extra inputs are not permitted", {"user"}),
    ("Extra inputs are not permitted, field: 'seed'", {"seed"}),
    ("property 'verbosity' is unsupported", {"verbosity"}),
    ('json: unknown field "user"', {"user"}),
    ("Unsupported parameter: 'parallel_tool_calls' is not supported with this model.", {"parallel_tool_calls"}),
    ("`seed` is not supported by this model", {"seed"}),
    ("body.max_completion_tokens: Extra inputs are not permitted", {"max_completion_tokens"}),
    ("messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`", {"developer"}),
    ("Input tag 'developer' found using 'role' does not match any of the expected tags", {"developer"}),
    ("Role developer is not allowed", {"developer"}),
    ("'messages.2' : property 'reasoning_content' is unsupported", {"reasoning_content"}),
    ("messages.2.assistant.reasoning_content: Extra inputs are not permitted", {"reasoning_content"}),
    ("metadata: the keys `user` and `seed` are unknown", {"user", "seed"}),
    ("body.user: Extra inputs are not permitted; body.seed: Input should be a valid integer", {"user"}),
    ("Unsupported value: 'seed'; body.user: Extra inputs are not permitted", {"user"}),
]
NOT_NAMED = [
    "messages.0.user: Extra inputs are not permitted",
    "Unsupported value: 'verbosity' does not support 'loud' with this model.",
    "The user must not be empty",
    "Ask the developer of this application.",
    "Conversation roles must alternate user and assistant, and this model does not support user turns.",
    "tools.0.metadata.user: Extra inputs are not permitted",
    "Invalid parameter: 'seed' must be a whole number",
]


@pytest.mark.parametrize(("text", "names"), NAMED)
@pytest.mark.parametrize("status", [400, 422])
def test_an_error_that_calls_a_hint_unknown_names_it(text: str, names: set[str], status: int) -> None:
    assert refused_parts(UpstreamFault(status=status, message=text), PARTS) == names


@pytest.mark.parametrize("text", NOT_NAMED)
def test_other_errors_name_none(text: str) -> None:
    assert not refused_parts(UpstreamFault(status=400, message=text), PARTS)


def test_only_a_wrong_request_names_hints() -> None:
    assert not refused_parts(UpstreamFault(status=500, message=NAMED[0][0]), PARTS)


def test_a_request_without_hints_keeps_the_bytes_of_its_other_members() -> None:
    body = b'{"model": "m", "user": "a", "messages": [{"role":  "user"}], "seed": 1.0, "x": 1e2}'
    assert parts_in(body, CHAT) == {"user", "seed"}
    assert parts_in(b'{"messages": [{"role": "user"}]}', CHAT) == set()
    assert adapted(body, ["user", "seed"]) == b'{"model":"m","messages":[{"role":  "user"}],"x":1e2}'


def test_thoughts_go_from_messages_and_nothing_else() -> None:
    answer = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}
    body = json.dumps({"messages": [answer, {"role": "user", "content": "Go on."}]}).encode()
    assert parts_in(body, CHAT) == {"reasoning_content"}
    (first, _) = json.loads(adapted(body, ["reasoning_content"]))["messages"]
    assert first == {"role": "assistant", "content": "Yes."}


def test_newer_names_become_the_old_ones() -> None:
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "developer"}]
    body = json.dumps({"messages": messages, "max_completion_tokens": 10}).encode()
    assert parts_in(body, CHAT) == {"developer", "max_completion_tokens"}
    assert json.loads(adapted(body, ["developer", "max_completion_tokens"])) == {
        "messages": [{"role": "system", "content": "Be brief."}, messages[1]],
        "max_tokens": 10,
    }


def test_names_elsewhere_in_a_request_are_no_parts() -> None:
    tool = {"type": "function", "function": {"name": "developer", "parameters": {"reasoning_content": {}}}}
    body = {"messages": [{"role": "user", "content": [{"user": "developer"}]}], "tools": [tool]}
    assert parts_in(json.dumps(body).encode(), CHAT) == set()


class Server:
    """An upstream that refuses the members it does not know, one at a time or all at once."""

    def __init__(self, found: Rig, *unknown: str, at_once: bool = False) -> None:
        self._found = found
        self._unknown = unknown
        self._at_once = at_once

    def __call__(self, _target: UpstreamTarget) -> Scripted:
        given = json.loads(self._found.asked[-1][1])
        problems = [
            {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}
            for name in self._unknown
            if name in given
        ]
        if not problems:
            return Scripted()
        detail = problems if self._at_once else problems[:1]
        return Scripted((json.dumps({"detail": detail}).encode(),), 422, "application/json")


def sent(found: Rig) -> list[dict[str, Any]]:
    return [json.loads(body) for _, body in found.asked]


async def test_a_call_is_repeated_without_each_hint_that_a_server_refuses(rig: Rig) -> None:
    rig.script = Server(rig, "user", "seed")
    answer = await rig.call(user="a", seed=1, temperature=0.5)
    assert answer.status == 200
    assert [("user" in body, "seed" in body) for body in sent(rig)] == [(True, True), (False, True), (False, False)]
    assert sent(rig)[-1]["temperature"] == 0.5
    assert set(answer.headers["x-opencode-dropped"].split(", ")) == {"seed", "user"}
    (event,) = rig.ledger.events
    assert event.attempts == 1


async def test_all_hints_that_a_server_refuses_at_once_cost_one_request_more(rig: Rig) -> None:
    rig.script = Server(rig, "user", "seed", "metadata", at_once=True)
    answer = await rig.call(user="a", seed=1, metadata={"a": "b"})
    assert answer.status == 200
    assert [{"user", "seed", "metadata"} & body.keys() for body in sent(rig)] == [{"user", "seed", "metadata"}, set()]


async def test_the_next_call_leaves_the_hint_out_at_once(rig: Rig) -> None:
    rig.script = Server(rig, "user")
    await rig.call(user="a")
    answer = await rig.call(user="b")
    assert ["user" in body for body in sent(rig)] == [True, False, False]
    assert answer.headers["x-opencode-dropped"] == "user"


async def test_a_newer_name_is_replaced_and_not_called_dropped(rig: Rig) -> None:
    rig.script = Server(rig, "max_completion_tokens")
    answer = await rig.call(max_completion_tokens=100)
    assert sent(rig)[-1]["max_tokens"] == 100
    assert "x-opencode-dropped" not in answer.headers


@pytest.mark.parametrize(
    "text", ["Role developer is not allowed", "tools.0.parameters.reasoning_content: Extra inputs are not permitted"]
)
async def test_an_error_about_something_else_of_that_name_is_final(rig: Rig, text: str) -> None:
    refusal = json.dumps({"error": {"message": text}}).encode()
    rig.script = lambda _: Scripted((refusal,), 400, "application/json")
    parameters = {"type": "object", "properties": {"reasoning_content": {"enum": ["developer"]}}}
    tool = {"type": "function", "function": {"name": "look", "parameters": parameters}}
    message = {"role": "assistant", "content": "", "reasoning_content": "Hm."}
    with pytest.raises(Exception, match=r"developer|reasoning_content"):
        await rig.call(tools=[tool], messages=[{"role": "developer", "content": "x"}, message])
    assert len(rig.asked) == 2  # once with the part in the messages, and once without


async def test_what_is_no_hint_is_refused_in_the_server_s_words(rig: Rig) -> None:
    rig.script = Server(rig, "logit_bias")
    with pytest.raises(Exception, match="logit_bias: Extra inputs are not permitted"):
        await rig.call(logit_bias={"1": 2})
    assert all("logit_bias" in body for body in sent(rig))


def test_a_hint_is_tried_again_after_a_while_and_the_memory_is_bounded() -> None:
    now = 0.0
    refused = RefusedParts(lambda: now)
    first = Circuit("platform", "one", "m")
    refused.note(first, ["user"])
    refused.note(first, ["seed"])
    assert refused.of(first) == {"user", "seed"}
    now = REMEMBERED_SECONDS
    assert not refused.of(first)
    refused.note(first, ["user"])
    for number in range(MOST_CIRCUITS):
        refused.note(Circuit("platform", "one", str(number)), ["user"])
    assert not refused.of(first)
    assert refused.of(Circuit("platform", "one", "0"))
