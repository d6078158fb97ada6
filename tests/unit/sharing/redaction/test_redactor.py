"""Secrets in items are replaced, everything else stays, and the report names kind and place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.contracts.access import RedactionPattern
from opencode_cloud.sharing.models import Finding, Item
from opencode_cloud.sharing.redaction.documents import PlainText, places
from opencode_cloud.sharing.redaction.redactor import Redactor
from tests.unit.sharing.conversation import conversation
from tests.unit.sharing.redaction.secrets import FORMATS, Draw, shapes

KEY = FORMATS["github-personal"](Draw(7))
MARK = "[redacted: github-pat]"


def part(data: Any, *, ensure_ascii: bool = True) -> Item:
    raw = json.dumps(data, ensure_ascii=ensure_ascii).encode()
    return Item(key="part/msg_1/prt_1", type="part", data=raw)


def redacted(data: Any, redactor: Redactor | None = None) -> Any:
    return json.loads((redactor or Redactor(b"key")).redact(part(data)).item.data)


@pytest.mark.parametrize("shape", shapes("").keys())
def test_a_secret_is_replaced_in_every_kind_of_item_and_nothing_else_changes(shape: str) -> None:
    around = 'say "hello"\nexport TOKEN={}\nC:\\new\\tools ünder é'
    kind, data = shapes(around.format(KEY))[shape]
    _, expected = shapes(around.format(MARK))[shape]
    item = Item(key="key", type=kind, data=json.dumps(data).encode())
    assert json.loads(Redactor(b"key").redact(item).item.data) == expected


def test_a_session_without_secrets_keeps_every_byte() -> None:
    redactor = Redactor(b"key")
    for each in conversation():
        item = Item(key=each.key, type=each.type, data=each.data)
        outcome = redactor.redact(item)
        assert outcome.item is item
        assert outcome.findings == ()


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_escapes_of_any_depth_hide_nothing(depth: int) -> None:
    key = FORMATS["rsa-private-key"](Draw(3))
    text = f"cat key.pem\n{key}\nls"
    for _ in range(depth):
        text = json.dumps({"output": text})
    after = redacted({"text": text})["text"]
    for _ in range(depth):
        after = json.loads(after)["output"]
    assert after == "cat key.pem\n[redacted: private-key]\nls"


def test_a_key_in_a_list_of_lines_goes_line_by_line() -> None:
    key = FORMATS["rsa-private-key"](Draw(3))
    after = redacted({"lines": ["# key", *key.split("\n"), "# end"]})["lines"]
    assert after[0], after[-1] == ("# key", "# end")
    assert set(after[1:-1]) == {"[redacted: private-key]"}


def test_a_block_that_is_cut_off_is_replaced_to_its_end() -> None:
    key = FORMATS["openssh-private-key"](Draw(3))
    assert redacted({"text": "key:\n" + key[:150]}) == {"text": "key:\n[redacted: private-key]"}


@pytest.mark.parametrize(
    ("begin", "end"),
    [("{number:05}| ", ""), ("{number}: ", ""), ("     {number}\t", ""), ("{number}-", ""), ("-", ""), ("> ", ""),
     ("    '", "\\n'"), ('    "', '\\n" +'), ("# ", "")],
)  # fmt: skip
def test_a_key_that_is_cut_off_is_replaced_with_something_before_each_line(begin: str, end: str) -> None:
    lines = FORMATS["rsa-private-key"](Draw(3)).split("\n")[:10]  # as a tool prints the first lines of a file
    text = "\n".join(begin.format(number=number) + line + end for number, line in enumerate(lines, 1))
    after = redacted({"output": text})["output"]
    assert not any(line in after for line in lines)


def test_a_search_for_keys_keeps_the_names_of_members_and_the_text_after_it() -> None:
    call = {"pattern": "-----BEGIN RSA PRIVATE KEY-----", "additionalProperties": False}
    assert "additionalProperties" in redacted({"input": call})["input"]
    text = "grep -r '-----BEGIN PRIVATE KEY-----' /srv/projects/example finds nothing"
    assert redacted({"text": text}) == {"text": text}


@pytest.mark.parametrize(
    "text", ["class sk-chase", "model xai-grok4", "gsk_renderer", "see sk-loading and task-12345678901234567890"]
)
def test_names_that_begin_like_keys_of_providers_stay(text: str) -> None:
    assert redacted({"text": text}) == {"text": text}


def test_headers_and_options_of_a_model_are_replaced_and_the_report_names_them() -> None:
    model = {
        "id": "m",
        "options": {"apiKey": "internal", "reasoningEffort": "high", "headers": {"X-Team": 'blue "fox" {1}'}},
        "headers": {"X-Gateway": "open sesame", "anthropic-beta": "a-1", "Empty": ""},
    }
    item = Item(key="model", type="model", data=json.dumps([model]).encode())
    outcome = Redactor(b"key").redact(item)
    assert json.loads(outcome.item.data) == [
        {
            "id": "m",
            "options": {
                "apiKey": "[redacted: header]",
                "reasoningEffort": "high",
                "headers": {"X-Team": "[redacted: header]"},
            },
            "headers": {"X-Gateway": "[redacted: header]", "anthropic-beta": "a-1", "Empty": ""},
        }
    ]
    fields = ["[0].options.apiKey", "[0].options.headers.X-Team", "[0].headers.X-Gateway"]
    assert [(each.kind, each.field) for each in outcome.findings] == [("header", field) for field in fields]
    again = Redactor(b"key").redact(outcome.item)
    assert again.item is outcome.item
    assert Redactor(b"key", allowed=["header"]).redact(item).item is item


def test_headers_of_an_answer_are_replaced_where_their_name_says_so() -> None:
    headers = {"set-cookie": "a=b", "x-api-key": "k", "retry-after": "5"}
    data: dict[str, Any] = {"responseBody": '{"headers":{"key":"no"}}', "responseHeaders": headers}
    message = {"id": "msg_1", "error": {"name": "APIError", "data": data}, "headers": {"cookie": "another kind"}}
    item = Item(key="message/msg_1", type="message", data=json.dumps(message).encode())
    after = json.loads(Redactor(b"key").redact(item).item.data)
    data["responseHeaders"] = {**headers, "set-cookie": "[redacted: header]", "x-api-key": "[redacted: header]"}
    assert after == message


def test_a_slash_may_be_escaped() -> None:
    raw = b'{"text":"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI\\/K7MDENG\\/bPxRfiCYzQ8aB3cD4eF"}'
    after = Redactor(b"key").redact(Item(key="key", type="part", data=raw)).item.data
    assert json.loads(after) == {"text": "AWS_SECRET_ACCESS_KEY=[redacted: generic-api-key]"}


def test_letters_may_be_escaped() -> None:
    raw = b'{"text":"' + "".join(f"\\u{ord(c):04x}" for c in KEY).encode() + b'"}'
    after = Redactor(b"key").redact(Item(key="key", type="part", data=raw)).item.data
    assert json.loads(after) == {"text": MARK}


def test_keys_and_types_of_items_are_searched() -> None:
    item = Item(key=f"note/{KEY}", type=f"t-{KEY}", data=b"{}")
    outcome = Redactor(b"key").redact(item)
    assert (outcome.item.key, outcome.item.type) == (f"note/{MARK}", f"t-{MARK}")
    assert [(finding.field, finding.count) for finding in outcome.findings] == [("", 2)]


@pytest.mark.parametrize("before", ["", 'a"b/', "ä/", "a\\nb/"], ids=["plain", "quote", "umlaut", "backslash"])
@pytest.mark.parametrize("length", [8, len(KEY)], ids=["beginning", "whole"])
@pytest.mark.parametrize("name", ["key", "type"])
def test_a_secret_or_its_beginning_is_found_in_one_name_alone(name: str, length: int, before: str) -> None:
    item = Item(**{"key": "note", "type": "note", "data": b"{}", name: before + KEY[:length]})
    outcome = Redactor(b"key").redact(item)
    assert getattr(outcome.item, name) == before + MARK
    assert sum(finding.count for finding in outcome.findings) == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_a_secret_of_every_form_is_replaced_in_a_key_as_in_a_text(kind: str) -> None:
    text = f"api_key = {FORMATS[kind](Draw(3))}"
    redactor = Redactor(b"key")
    assert redactor.redact(Item(key=text, type="note", data=b"{}")).item.key == redactor.text(text) != text


def test_a_pattern_of_a_workspace_is_searched_in_keys() -> None:
    item = Item(key="note/customer-123456", type="note", data=b"{}")
    redactor = Redactor(b"key", [RedactionPattern("customer", "customer-[0-9]{6}")])
    assert redactor.redact(item).item.key == "note/[redacted: customer]"


def test_redacting_again_changes_nothing() -> None:
    redactor = Redactor(b"key")
    once = redactor.redact(part({"text": f"a {KEY} b", "password": "hunter2-Xk39fJq0"}))
    again = redactor.redact(once.item)
    assert again.item is once.item
    assert again.findings == ()


@pytest.mark.parametrize("length", [8, 12, 20, 39])
def test_the_beginning_of_a_secret_is_replaced_while_it_is_written(length: int) -> None:
    assert redacted({"text": f"it is {KEY[:length]}"}) == {"text": f"it is {MARK}"}


def test_a_prefix_alone_and_a_beginning_within_a_text_stay() -> None:
    for text in ("tokens begin with ghp_", "such as ghp_abcdef, and others", "ghp_ab"):
        assert redacted({"text": text}) == {"text": text}


def test_the_report_tells_kind_and_place_and_never_the_value() -> None:
    data = {"state": {"input": {"command": f"x {KEY} {KEY}"}, "output": ["", f"y {KEY}"]}, KEY: {"a": f"z {KEY}"}}
    findings = Redactor(b"key").redact(part(data)).findings
    fingerprint = findings[0].fingerprint
    assert findings == (
        Finding("github-pat", "state.input.command", fingerprint, 2),
        Finding("github-pat", "state.output[1]", fingerprint, 1),
        Finding("github-pat", "*", fingerprint, 1),
        Finding("github-pat", "*.a", fingerprint, 1),
    )
    assert KEY not in repr(findings)


def test_fingerprints_tell_secrets_apart_and_depend_on_the_share() -> None:
    other = FORMATS["github-personal"](Draw(8))

    def prints(key: bytes) -> list[str]:
        return [each.fingerprint for each in Redactor(key).redact(part({"a": f"x {KEY}", "b": f"y {other}"})).findings]

    assert len(set(prints(b"one"))) == 2
    assert set(prints(b"one")).isdisjoint(prints(b"two"))
    assert prints(b"one") == prints(b"one")


def test_an_owner_may_allow_a_kind_or_one_secret() -> None:
    other = FORMATS["github-personal"](Draw(8))
    text = f"{KEY} and {other} end"
    [first, _] = Redactor(b"key").redact(part({"text": text})).findings
    assert redacted({"text": text}, Redactor(b"key", allowed=["github-pat"])) == {"text": text}
    one = Redactor(b"key", allowed=[f"github-pat/{first.fingerprint}"])
    assert redacted({"text": text}, one) == {"text": f"{KEY} and {MARK} end"}


def test_a_workspaces_own_patterns_are_searched_in_unicode() -> None:
    patterns = [RedactionPattern("customer", "(?i)kunde-[0-9]{6}"), RedactionPattern("who", "Zoë M.+n")]
    redactor = Redactor(b"key", patterns)
    assert redacted({"text": "Kunde-123456 ist Zoë Müllermann"}, redactor) == {
        "text": "[redacted: customer] ist [redacted: who]"
    }


def test_a_short_match_of_a_pattern_is_an_accident() -> None:
    assert redacted({"text": "abcde"}, Redactor(b"key", [RedactionPattern("any", ".")])) == {"text": "abcde"}


def test_the_mark_of_a_share_secret_counts() -> None:
    outcome = Redactor(b"key").redact(part({"text": "it is [redacted: share-secret]"}))
    assert [finding.kind for finding in outcome.findings] == ["share-secret"]
    assert json.loads(outcome.item.data) == {"text": "it is [redacted: share-secret]"}


def test_numbers_and_structure_stay() -> None:
    data = {"access_token": 12345678901234567890, "secret": [1.5e300, None, True], "key": {"token": {}}}
    assert redacted(data) == data


@given(
    st.recursive(
        st.text() | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=10,
    ),
    st.text(max_size=8),
    st.booleans(),
)
def test_any_document_stays_a_document_without_the_secret(data: Any, around: str, ascii_only: bool) -> None:
    document = [data, f"{around} {KEY} {around}", {f"{around} {KEY}": json.dumps([data, f"{around} {KEY} "])}]
    raw = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    patterns = [RedactionPattern("any", r"[^a-z]{6,20}")]
    after = Redactor(b"key", patterns).redact(Item(key="key", type="note", data=raw)).item.data
    assert KEY.encode() not in after
    json.loads(after.decode("utf-8", "surrogatepass"))


@given(st.text(), st.booleans())
def test_each_byte_of_the_text_has_its_place(text: str, ascii_only: bool) -> None:
    document = json.dumps([text, json.dumps(text)], ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    plain = PlainText(document)
    origins = [plain.place(at, at)[0] for at in range(len(plain.text) + 1)]
    assert origins[0] == 0
    assert origins[-1] == len(document)
    assert origins == sorted(origins)


def test_a_span_over_several_strings_is_cut_at_their_ends_and_leaves_names() -> None:
    document = b'{"a":"xy","b":["z"]}'
    found = list(places(document, [(6, 17)]))
    assert [(document[place.start : place.end], place.field) for place in found] == [
        (b"xy", "a"),
        (b"z", "b[0]"),
    ]
