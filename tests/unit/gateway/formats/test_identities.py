"""Model providers get pseudonyms of sessions and users, in every member that names one and in every format."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import forward_request
from opencode_cloud.gateway.formats.identities import IDENTITIES, bounded_session, pseudonymous, session_of
from tests.unit.gateway.formats.speaking import FORMATS, ask, forwarded

SESSION = "ses_dfa12facaffe9CT4lEoCRhKTNh"
NAMED: dict[str, Any] = {
    "prompt_cache_key": SESSION,
    "promptCacheKey": SESSION,
    "safety_identifier": f"person of {SESSION}",
    "user": f"user_x_session_{SESSION}",
    "metadata": {"user_id": f"user_x_session_{SESSION}", "session_id": SESSION, "team": "red"},
}
USED = [format_ for format_ in FORMATS if format_ is not Format.GENERATE]


def named(identity: str) -> str:
    return f"id_{sum(identity.encode())}"


@pytest.mark.parametrize("source", USED)
@pytest.mark.parametrize("target", FORMATS)
def test_no_upstream_of_any_format_gets_the_session_id(source: Format, target: Format) -> None:
    sent = forwarded(ask(source, **NAMED), target, pseudonym=named)
    assert SESSION not in json.dumps(sent)


@pytest.mark.parametrize("format_", USED)
def test_an_upstream_of_the_same_format_gets_each_member_as_a_pseudonym(format_: Format) -> None:
    sent = forwarded(ask(format_, **NAMED), format_, pseudonym=named)
    for name in ("prompt_cache_key", "promptCacheKey", "safety_identifier", "user"):
        assert sent[name] == named(NAMED[name])
    user, session = NAMED["metadata"]["user_id"], NAMED["metadata"]["session_id"]
    assert sent["metadata"] == {"user_id": named(user), "session_id": named(session), "team": "red"}


def test_a_converted_request_keeps_the_cache_key_and_the_user_as_pseudonyms() -> None:
    chat = ask(Format.CHAT, prompt_cache_key=SESSION, safety_identifier="ada")
    assert forwarded(chat, Format.RESPONSES, pseudonym=named)["prompt_cache_key"] == named(SESSION)
    assert forwarded(chat, Format.MESSAGES, pseudonym=named)["metadata"] == {"user_id": named("ada")}
    messages = ask(Format.MESSAGES, metadata={"user_id": "ada"})
    assert forwarded(messages, Format.RESPONSES, pseudonym=named)["safety_identifier"] == named("ada")


@pytest.mark.parametrize("target", FORMATS)
def test_the_metadata_of_codex_with_ids_of_its_device_reaches_no_upstream(target: Format) -> None:
    asked = ask(Format.RESPONSES, client_metadata={"session_id": SESSION, "x-codex-installation-id": "device"})
    sent = json.dumps(forwarded(asked, target, pseudonym=named))
    assert SESSION not in sent
    assert "device" not in sent
    assert "client_metadata" in forward_request(asked, target, "m", named).dropped


@given(
    st.dictionaries(
        st.sampled_from(sorted(IDENTITIES)) | st.just("metadata") | st.text(max_size=3),
        st.none() | st.integers() | st.text() | st.dictionaries(st.sampled_from(sorted(IDENTITIES)), st.text()),
    )
)
def test_only_texts_that_name_somebody_change(document: dict[str, Any]) -> None:
    changed = {**document, **pseudonymous(document, named)}
    assert changed.keys() == document.keys()
    for name, value in document.items():
        if isinstance(value, str) and name in IDENTITIES:
            assert changed[name] == (named(value) if value else "")
        elif isinstance(value, dict) and name == "metadata":
            assert changed[name] == {key: named(text) if text else "" for key, text in value.items()}
        else:
            assert changed[name] == value


@pytest.mark.parametrize(
    ("document", "session"),
    [
        ({"prompt_cache_key": "s-1"}, "s-1"),
        ({"promptCacheKey": "s-1"}, "s-1"),
        ({"metadata": {"session_id": "s-1"}}, "s-1"),
        ({"metadata": {"user_id": '{"device_id":"d","account_uuid":"","session_id":"s-1"}'}}, "s-1"),
        ({"metadata": {"user_id": "user_0f_account_11_session_s-1"}}, "s-1"),
        ({"metadata": {"user_id": "ann"}}, ""),
        ({"metadata": {"user_id": '{"session_id":7}'}}, ""),
        ({"metadata": {"user_id": "{broken"}}, ""),
        ({"metadata": {"user_id": "[1]"}}, ""),
        ({"metadata": "none", "prompt_cache_key": 7}, ""),
        ({}, ""),
    ],
)
def test_the_session_that_a_body_names_is_found(document: dict[str, Any], session: str) -> None:
    assert session_of(document) == session


@given(st.text())
def test_the_id_of_a_session_is_bounded_in_length_and_characters(session: str) -> None:
    bounded = bounded_session(session)
    assert len(bounded) <= 200
    assert bounded.isascii()
    assert bounded.isprintable()
    assert bool(bounded) is bool(session)


@pytest.mark.parametrize(("one", "other"), [("s" * 200 + "1", "s" * 200 + "2"), ("\ud800", "\ud801"), ("a b", "a\nb")])
def test_ids_of_sessions_that_are_bounded_stay_different(one: str, other: str) -> None:
    assert bounded_session(one) != bounded_session(other)
    assert bounded_session(one) == bounded_session(one)
