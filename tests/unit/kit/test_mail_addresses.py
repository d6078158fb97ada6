"""The canonical form of addresses: only the same mailbox has the same form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit.mail_addresses import (
    InvalidMailAddress,
    canonical_address,
    canonical_domain,
    domain_of,
    mailable_address,
)


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("Ada@Example.com", "ada@example.com"),
        (" ada@example.com ", "ada@example.com"),
        ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"),
        ("ada@stra\u00dfe.example", "ada@xn--strae-oqa.example"),
        ("ada@strasse.example", "ada@strasse.example"),
        ("ada@\u03b1\u03c2.example", "ada@xn--mxa8a.example"),
        ("ada@\u03b1\u03c3.example", "ada@xn--mxa0b.example"),
        ("ada@\uff45xample\u3002com", "ada@example.com"),
        ("ada@example.com.", "ada@example.com"),
        ("o'neil+x@corp.local", "o'neil+x@corp.local"),
    ],
)
def test_an_address_has_one_form(typed: str, canonical: str) -> None:
    assert canonical_address(typed) == canonical
    assert canonical_address(canonical) == canonical


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "jos\u00e9@example.com",
        "\ufb01nance@example.com",
        "bo\u017f\u017f@example.com",
        "\u212aevin@example.com",
        "stra\u00dfe@example.com",
        "\u0131da@example.com",
        "a b@example.com",
        '"a b"@example.com',
        "a@b@example.com",
        "a\x00@example.com",
        "ada@[192.0.2.1]",
        "ada@ex_ample.com",
        "ada@-example.com",
        f"ada@{'a' * 64}.example",
        f"{'a' * 65}@example.com",
        f"ada@{'a.' * 200}example",
        "\ud800@example.com",
        "ada@\ud800.example",
    ],
)
def test_what_cannot_be_mailed_has_no_form_and_a_reason(typed: str) -> None:
    with pytest.raises(InvalidMailAddress, match=r"[.]$"):
        canonical_address(typed)


def test_a_mail_goes_to_the_local_part_as_written_at_the_a_label() -> None:
    assert mailable_address("Ada.L@B\u00fccher.example") == "Ada.L@xn--bcher-kva.example"


def test_the_domain_of_an_address() -> None:
    assert domain_of(canonical_address("ada@B\u00fccher.example")) == canonical_domain("b\u00fccher.example")
    assert domain_of("no address") == ""


LABELS = st.text(
    st.sampled_from("abkst\u00df\u017f\ufb01\u03c2\u03c3\u212a\u00e9e\u0301iI\u0131\u0130"), min_size=1, max_size=6
)


@given(LABELS, LABELS)
def test_local_parts_are_one_person_only_if_they_differ_by_the_case_of_ascii_letters(one: str, other: str) -> None:
    try:
        same = canonical_address(f"{one}@example.com") == canonical_address(f"{other}@example.com")
    except InvalidMailAddress:
        assert not (one.isascii() and other.isascii())
    else:
        assert same == (one.lower() == other.lower())
        assert one.isascii()


@given(st.text(max_size=300))
def test_each_text_has_a_form_or_is_refused(text: str) -> None:
    try:
        canonical = canonical_address(text)
    except InvalidMailAddress:
        return
    assert canonical.isascii()
    assert canonical_address(canonical) == canonical
