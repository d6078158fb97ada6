"""Servers that do not know a hint: the call is repeated without it, and the next calls leave it out at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import UpstreamFault, hints_in, refused_hints, without_hints
from opencode_cloud.gateway.models import Circuit, UpstreamTarget
from opencode_cloud.gateway.service.refused_hints import MOST_CIRCUITS, REMEMBERED_SECONDS, RefusedHints
from tests.unit.gateway.calling import Rig, Scripted

HINTS = frozenset({"user", "seed", "prompt_cache_key", "verbosity", "parallel_tool_calls", "metadata"})

NAMED: list[tuple[str, set[str]]] = [
    ("Unrecognized request argument supplied: user", {"user"}),
    ("Unknown parameter: 'prompt_cache_key'.", {"prompt_cache_key"}),
    ("body.user: Extra inputs are not permitted", {"user"}),
    ("Extra inputs are not permitted, field: 'seed'", {"seed"}),
    ("property 'verbosity' is unsupported", {"verbosity"}),
    ('json: unknown field "user"', {"user"}),
    ("Unsupported parameter: 'parallel_tool_calls' is not supported with this model.", {"parallel_tool_calls"}),
    ("`seed` is not supported by this model", {"seed"}),
    ("metadata: the keys `user` and `seed` are unknown", {"user", "seed"}),
]
NOT_NAMED = [
    "messages.0.user: Extra inputs are not permitted",
    "Unsupported value: 'verbosity' does not support 'loud' with this model.",
    "The user must not be empty",
    "Conversation roles must alternate user and assistant, and this model does not support user turns.",
    "tools.0.metadata.user: Extra inputs are not permitted",
    "Invalid parameter: 'seed' must be a whole number",
]


@pytest.mark.parametrize(("text", "names"), NAMED)
@pytest.mark.parametrize("status", [400, 422])
def test_an_error_that_calls_a_hint_unknown_names_it(text: str, names: set[str], status: int) -> None:
    assert refused_hints(UpstreamFault(status=status, message=text), HINTS) == names


@pytest.mark.parametrize("text", NOT_NAMED)
def test_other_errors_name_none(text: str) -> None:
    assert not refused_hints(UpstreamFault(status=400, message=text), HINTS)


def test_only_a_wrong_request_names_hints() -> None:
    assert not refused_hints(UpstreamFault(status=500, message=NAMED[0][0]), HINTS)


def test_a_request_without_hints_keeps_the_bytes_of_its_other_members() -> None:
    body = b'{"model": "m", "user": "a", "messages": [{"role":  "user"}], "seed": 1.0, "x": 1e2}'
    assert hints_in(body, Format.CHAT) == {"user", "seed"}
    assert hints_in(b'{"messages": [{"role": "user"}]}', Format.CHAT) == set()
    assert without_hints(body, ["user", "seed"]) == b'{"model":"m","messages":[{"role":  "user"}],"x":1e2}'


class Server:
    """An upstream that refuses the members it does not know, one at a time."""

    def __init__(self, found: Rig, *unknown: str) -> None:
        self._found = found
        self._unknown = unknown

    def __call__(self, _target: UpstreamTarget) -> Scripted:
        given = json.loads(self._found.asked[-1][1])
        for name in self._unknown:
            if name in given:
                problem = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}
                return Scripted((json.dumps({"detail": [problem]}).encode(),), 422, "application/json")
        return Scripted()


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


async def test_the_next_call_leaves_the_hint_out_at_once(rig: Rig) -> None:
    rig.script = Server(rig, "user")
    await rig.call(user="a")
    answer = await rig.call(user="b")
    assert ["user" in body for body in sent(rig)] == [True, False, False]
    assert answer.headers["x-opencode-dropped"] == "user"


async def test_what_is_no_hint_is_refused_in_the_server_s_words(rig: Rig) -> None:
    rig.script = Server(rig, "logit_bias")
    with pytest.raises(Exception, match="logit_bias: Extra inputs are not permitted"):
        await rig.call(logit_bias={"1": 2})
    assert all("logit_bias" in body for body in sent(rig))


def test_a_hint_is_tried_again_after_a_while_and_the_memory_is_bounded() -> None:
    now = 0.0
    refused = RefusedHints(lambda: now)
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
