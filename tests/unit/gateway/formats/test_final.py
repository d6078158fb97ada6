"""Clients never retry a final refusal, and its text for people stays the same."""

import json
import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import answer_error, error_event, final_refusal

CLIENT = re.compile("429|500|502|503|504|524")
"""The pattern by which opencode 1.18.33 finds temporary failures in messages and bodies."""
amounts = st.integers(0, 9_000_000_000_000_000) | st.sampled_from([500, 5_000_000, 42_900_000, 50_234, 1_524_000])
texts = st.text(max_size=20) | st.sampled_from(
    ['$500.00 of "$5,024.29"', "bud_01M8A50050350442952400", "\\429\n\x1f500"]
)


def error(format_: Format, status: int, message: str, details: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    written = answer_error(
        format_, status=status, code="budget_exhausted", message=message, details=details, final=True
    )
    body = written.decode()
    return body, json.loads(body)["error"]


@given(format_=st.sampled_from(Format), message=texts, limit=amounts, used=amounts, budget=texts)
def test_the_client_finds_nothing_worth_repeating(
    format_: Format, message: str, limit: int, used: int, budget: str
) -> None:
    details = {"limit": limit, "used": used, "budget": budget}
    body, said = error(format_, 402, message, details)
    assert {name: said[name] for name in details} == details
    assert said["message"].replace("\u2060", "") == message.replace("\u2060", "")
    assume(all(len(CLIENT.findall(str(amount))) < 2 for amount in (limit, used)))  # no decimal point separates both
    assert not CLIENT.search(said["message"])
    assume("\x1f" not in message + budget or not CLIENT.search(body))  # a JSON escape can end with a digit
    assert not CLIENT.search(body)


@pytest.mark.parametrize("format_", Format)
def test_the_same_holds_for_an_error_within_a_stream(format_: Format) -> None:
    message = "The limit is 500 of 5024."
    told = {"status": 400, "code": "upstream_interrupted", "message": message, "details": {"limit": 50_000}}
    final = error_event(format_, **told, sequence=429, final=True).decode()
    assert not CLIENT.search(re.sub(r'"(?:created_at|id)":[^,]*', "", final))
    for line in final.splitlines():
        if line.startswith("data: "):
            json.loads(line[6:])
    assert CLIENT.search(error_event(format_, **told).decode())
    passing = error_event(format_, **{**told, "status": 502}, final=True).decode()
    assert "500 of 5024" in passing


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"At most 500 of 5024.","code":"429","details":[{"message":"500"}],"limit":500}}',
        b"[500]",
        b"At most 500.",
        b'{"a":' * 900 + b'{"message":"500"}' + b"}" * 900,
    ],
)
def test_the_same_holds_for_an_upstreams_own_refusal(body: bytes) -> None:
    final = final_refusal(400, body)
    assert not CLIENT.search(final.decode())
    assert final_refusal(429, body) == body
    if body.startswith(b'{"error"'):
        said = json.loads(final)["error"]
        assert not CLIENT.search(said["message"] + said["details"][0]["message"])
        assert (said["code"], said["limit"]) == ("429", 500)


def test_a_refusal_without_such_digits_keeps_its_bytes() -> None:
    body = b'{ "error": {"message": "no such parameter"} }'
    assert final_refusal(400, body) is body


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_said_as_it_is(status: int) -> None:
    body, said = error(Format.CHAT, status, "Come back for $500.00", {"limit": 500})
    assert said["message"] == "Come back for $500.00"
    assert '"limit":500' in body


@given(st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.429, 12.5003, -500.5, 1e-7, 5.24e300]))
def test_fractions_are_said_as_they_are(used: float) -> None:
    assert error(Format.CHAT, 402, "m", {"used": used})[1]["used"] == used
