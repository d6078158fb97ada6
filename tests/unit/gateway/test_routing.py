"""The upstreams that may serve a call, and their order."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import Format, Model, Route, UpstreamKind
from opencode_cloud.contracts.access import EnforcedRules, KnownCredential, KnownCredentials
from opencode_cloud.contracts.ids import CredentialId
from opencode_cloud.gateway.formats import read_request
from opencode_cloud.gateway.models import PLATFORM, Circuit, Failure, UpstreamTarget
from opencode_cloud.gateway.service.health import FAILURES, Health
from opencode_cloud.gateway.service.routing import order, own_credential, targets
from tests.unit.gateway.catalogues import catalogue, model, upstream

KEYS = {"a": "key-a", "b": "key-b", "c": "key-c"}
SESSIONS = st.text(min_size=1, max_size=30)


def ways(
    found: Model, keys: dict[str, str] | None = None, providers: EnforcedRules | None = None
) -> list[tuple[Route, UpstreamTarget]]:
    every = catalogue(found, a=upstream(), b=upstream(), c=upstream())
    return targets(every, found, Format.CHAT, providers or EnforcedRules(), {}, KEYS if keys is None else keys)


def names(found: list[UpstreamTarget]) -> list[str]:
    return [target.id for target in found]


THREE = model(*(Route(upstream=name, model="m") for name in KEYS))


TOOLS = [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("name", "members", "spoken"),
    [
        ("gpt-6-sol", {"tools": TOOLS}, Format.RESPONSES),
        ("gpt-5.6", {"tools": TOOLS, "reasoning_effort": "low"}, Format.RESPONSES),
        ("gpt-6-sol", {"tools": TOOLS, "reasoning_effort": "none"}, Format.CHAT),
        ("gpt-6-sol", {}, Format.CHAT),
        ("gpt-5.4", {"tools": TOOLS, "reasoning_effort": "low"}, Format.RESPONSES),
        ("gpt-5.4", {"tools": TOOLS}, Format.CHAT),
        ("gpt-5.1", {"tools": TOOLS, "reasoning_effort": "low"}, Format.CHAT),
    ],
)
def test_tools_that_openai_refuses_in_chat_go_to_responses(name: str, members: dict[str, Any], spoken: Format) -> None:
    body = {"model": "m1", "messages": [{"role": "user", "content": "Hi"}], **members}
    asked = read_request(Format.CHAT, json.dumps(body).encode())

    def format_at(**upstreams: Any) -> Format:
        found = model(Route(**({"upstream": "a", "model": name} | upstreams.pop("route", {}))), id=name)
        every = catalogue(found, a=upstream(**upstreams))
        return targets(every, found, Format.CHAT, EnforcedRules(), {}, KEYS, None, asked)[0][1].format

    assert format_at(kind=UpstreamKind.OPENAI) is spoken
    assert format_at(kind=UpstreamKind.OPENAI, route={"formats": (Format.CHAT,)}) is Format.CHAT, "the operator knows"
    assert format_at(kind=UpstreamKind.OPENAI, route={"model": "prod-east"}) is spoken, "the id tells the model"
    assert format_at(kind=UpstreamKind.OPENAI, route={"model": "gpt-4o"}) is Format.CHAT, "another model serves"
    assert format_at(kind=UpstreamKind.OPENAI_COMPATIBLE) is Format.CHAT


class TestOrder:
    @given(SESSIONS)
    def test_a_session_always_gets_the_same(self, session: str) -> None:
        assert order(ways(THREE), session, Health()) == order(ways(THREE), session, Health())

    @given(SESSIONS)
    def test_when_the_first_fails_the_others_keep_their_order(self, session: str) -> None:
        health = Health()
        before = names(order(ways(THREE), session, health))
        for _ in range(FAILURES):
            health.failed(Circuit(PLATFORM, before[0], "m"), Failure.SLOW)
        assert names(order(ways(THREE), session, health)) == [*before[1:], before[0]]

    @given(SESSIONS)
    def test_a_route_less_moves_only_the_sessions_that_it_had(self, session: str) -> None:
        two = model(*(Route(upstream=name, model="m") for name in "ab"))
        three, fewer = names(order(ways(THREE), session, Health())), names(order(ways(two), session, Health()))
        assert fewer == [name for name in three if name != "c"]

    def test_sessions_spread_by_the_weights(self) -> None:
        found = model(Route(upstream="a", model="m", weight=1), Route(upstream="b", model="m", weight=3))
        first = Counter(order(ways(found), f"session {n}", Health())[0].id for n in range(4000))
        assert 0.7 < first["b"] / 4000 < 0.8

    @given(SESSIONS)
    def test_a_lower_priority_comes_first_whatever_the_weights(self, session: str) -> None:
        found = model(Route(upstream="a", model="m", priority=2, weight=100), Route(upstream="b", model="m"))
        assert names(order(ways(found), session, Health())) == ["b", "a"]

    @given(SESSIONS)
    def test_who_is_ill_comes_last_whatever_the_priority(self, session: str) -> None:
        found = model(Route(upstream="a", model="m"), Route(upstream="b", model="m", priority=2))
        health = Health()
        for _ in range(FAILURES):
            health.failed(Circuit(PLATFORM, "a", "m"), Failure.UNREACHABLE)
        assert names(order(ways(found), session, health)) == ["b", "a"]


class TestWays:
    def test_a_route_without_weight_is_none(self) -> None:
        found = model(Route(upstream="a", model="m", weight=0), Route(upstream="b", model="m"))
        assert [target.id for _, target in ways(found)] == ["b"]

    def test_an_upstream_that_the_policy_denies_is_none(self) -> None:
        assert [target.id for _, target in ways(THREE, providers=EnforcedRules(deny=("b",)))] == ["a", "c"]

    def test_who_wants_a_key_needs_one(self) -> None:
        found = model(Route(upstream="a", model="m"))
        every = catalogue(found, a=upstream(UpstreamKind.ANTHROPIC))
        assert targets(every, found, Format.CHAT, EnforcedRules(), {}, {}) == []
        assert targets(every, found, Format.CHAT, EnforcedRules(), {}, {"a": "k"})[0][1].secret == "k"

    def test_the_clients_format_is_spoken_where_the_upstream_speaks_it(self) -> None:
        found = model(Route(upstream="a", model="m"))
        every = catalogue(found, a=upstream(UpstreamKind.OPENAI))
        spoken = {asked: targets(every, found, asked, EnforcedRules(), {}, KEYS)[0][1].format for asked in Format}
        assert spoken == {
            Format.CHAT: Format.CHAT,
            Format.RESPONSES: Format.RESPONSES,
            Format.MESSAGES: Format.RESPONSES,
            Format.GENERATE: Format.RESPONSES,
        }


class TestOwnCredentials:
    def credential(self, name: str, provider: str = "anthropic") -> KnownCredential:
        return KnownCredential(
            id=CredentialId(name), provider=provider, name=name, base_url=None, sealed=b"", data_key=b""
        )

    def test_the_one_of_the_upstreams_name_is_taken_else_the_first_of_its_kind(self) -> None:
        both = KnownCredentials(credentials=(self.credential("first"), self.credential("b")))
        kind = upstream(UpstreamKind.ANTHROPIC)
        assert own_credential("b", kind, both) == self.credential("b")
        assert own_credential("a", kind, both) == self.credential("first")
        assert own_credential("a", upstream(UpstreamKind.GOOGLE), both) is None

    def test_a_compatible_server_gets_no_key_that_is_not_named_after_it(self) -> None:
        both = KnownCredentials(credentials=(self.credential("vllm", "openai-compatible"),))
        assert own_credential("openrouter", upstream(), both) is None
        assert own_credential("vllm", upstream(), both) is not None

    def test_an_upstream_may_be_closed_to_them(self) -> None:
        one = KnownCredentials(credentials=(self.credential("a"),))
        assert own_credential("a", upstream(UpstreamKind.ANTHROPIC, byok=False), one) is None

    def test_with_an_own_key_the_platforms_is_never_used(self) -> None:
        found = model(Route(upstream="a", model="m"), Route(upstream="b", model="m"))
        every = catalogue(found, a=upstream(), b=upstream())
        own = {"b": (self.credential("b", "openai-compatible"), "own-key")}
        [(_, only)] = targets(every, found, Format.CHAT, EnforcedRules(), own, KEYS)
        assert (only.id, only.secret, only.byok) == ("b", "own-key", True)

    def test_with_an_own_key_the_circuit_is_the_credentials(self) -> None:
        found = model(Route(upstream="b", model="m"))
        own = {"b": (self.credential("b", "openai-compatible"), "own-key")}
        circuits = [
            targets(catalogue(found, b=upstream()), found, Format.CHAT, EnforcedRules(), credentials, KEYS)[0][
                1
            ].circuit
            for credentials in ({}, own)
        ]
        assert circuits == [Circuit(PLATFORM, "b", "m"), Circuit("b", "b", "m")]
