"""The lists of rules are whole: each rule compiles, has a source, and takes linear time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.redaction_rules import announcements, converted, unfinished
from opencode_cloud.kit.linear_patterns import InvalidPattern, LinearPattern, PatternSet, small_pattern
from opencode_cloud.sharing.redaction.rules import FOLDER, Rule, entropy_of, known_kinds, rule_lists, scanner
from tests.machine import slowness

HOSTILE = ("-----BEGIN PRIVATE KEY-----", "curl -u ", "eyJ", "sk-", "://a:", "\\n", "A3T")
SIZE = 64 * 1024
ALLOWANCE_SECONDS = 0.5
"""Processor time of a search of 64 KB. A quadratic one takes minutes."""


def test_every_rule_and_every_exception_compiles() -> None:
    for each in rule_lists():
        for rule in each.rules:
            LinearPattern(rule.regex.encode())
            if rule.unfinished:
                LinearPattern(rule.unfinished.encode())
            for exceptions in (*rule.exceptions, *each.exceptions):
                for regex in exceptions.regexes:
                    LinearPattern(regex.encode())
            assert all(keyword == keyword.lower() for keyword in rule.keywords), rule.id


def test_the_rules_name_their_source_and_licence() -> None:
    gitleaks, own = rule_lists()
    assert (gitleaks.licence, own.licence) == ("MIT", "MIT")
    assert "github.com/gitleaks" in gitleaks.source
    assert gitleaks.version in (FOLDER / "gitleaks-license.txt").read_text()
    assert len(gitleaks.rules) > 200
    assert len(known_kinds()) > 200


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        " ",
        '"',
        "=",
        "key=",
        "token: ",
        "-----BEGIN PRIVATE KEY-----",
        "curl -u ",
        "eyJ",
        "sk-",
        "://a:",
        "\\n",
        "A3T",
        "Authorization: ",
        "authorization: key a",
        "Cookie: a=b; ",
        "Cookie: session=a",
        "- name: API_KEY\n",
        "name: key value ",
        "mysql -u root ",
        "docker login -u a ",
        "machine a login b ",
        "--api-key ",
        "-a",
        "ENV KEY ",
        "<apiKey>",
        "mysql_pwd=",
        "secret_key='",
        "&sig=",
        "_key_token",
        "a:5432:b:c:",
    ],
)
def test_hostile_text_is_searched_in_linear_time(piece: str) -> None:
    text = (piece * (SIZE // len(piece) + 1))[:SIZE].encode()
    scanner().scan(text)
    began = time.thread_time()
    scanner().scan(text)
    assert time.thread_time() - began < ALLOWANCE_SECONDS * slowness()


def test_entropy_is_that_of_shannon() -> None:
    assert entropy_of(b"") == 0
    assert entropy_of(b"aaaa") == 0
    assert entropy_of(b"abcd") == 2
    assert entropy_of(b"aabb") == 1


def test_a_configuration_of_gitleaks_is_converted() -> None:
    rule = {
        "id": "acme",
        "regex": r"""(?i)[\w.-]{0,50}?(?:acme)[\s'"]{0,3}(?:=|:)([a-z]{20})(?:[\x60'"\s;]|\\[nr]|$)""",
        "keywords": ["ACME"],
        "entropy": 3,
        "allowlists": [
            {"stopwords": ["Example"]},
            {"condition": "AND", "paths": ["a"], "regexes": ["b"]},
        ],
    }
    made = converted({"rules": [rule, {"id": "pkcs12", "path": "x"}], "allowlist": {"regexes": ["^x$"]}}, "v1")
    [acme] = made.rules
    assert (acme.keywords, acme.entropy, len(acme.exceptions)) == (("acme",), 3.0, 1)
    assert acme.exceptions[0].stopwords == ("example",)
    assert r"[\w.-]{0,50}?" not in acme.regex
    LinearPattern(acme.regex.encode())
    assert made.version == "v1"


@pytest.mark.parametrize(
    ("regex", "form"),
    [
        (r"ghp_[0-9a-zA-Z]{36}", r"\b(?:ghp_)[0-9a-zA-Z]{4,36}"),
        (r"\b(dp\.pt\.(?i)[a-z]{43})", ""),
        (r"(?:ghu|ghs)_[0-9a-zA-Z]{36}", r"\b(?:(?:ghu|ghs)_)[0-9a-zA-Z]{4,36}"),
        (r"SK[0-9a-f]{32}", ""),
        (r"[a-z]{40}", ""),
    ],
)
def test_only_a_literal_announces_a_secret(regex: str, form: str) -> None:
    assert unfinished(regex) == form


@pytest.mark.parametrize(
    ("regex", "keywords", "texts"),
    [
        (r"ghp_[0-9a-zA-Z]{36}", ["ghp_"], ()),
        (r"(?:ghu|ghs)_[0-9a-zA-Z]{36}", ["ghu_", "ghs_"], ()),
        (r"(?:ghu|ghs)_[0-9a-zA-Z]{36}", ["ghu_"], ("ghu_", "ghs_")),
        (r"\b(Sk-(?:proj|admin)-[0-9a-z]{74}T3Blbk)", ["t3blbk"], ("sk-proj-", "sk-admin-")),
        (r"[a-z]{40}", ["key"], ()),
    ],
)
def test_a_beginning_without_a_keyword_is_announced_by_its_literals(
    regex: str, keywords: list[str], texts: tuple[str, ...]
) -> None:
    assert announcements(regex, keywords) == texts


UNFINISHED = [rule for each in rule_lists() for rule in each.rules if rule.unfinished]


@pytest.mark.parametrize("rule", UNFINISHED, ids=[rule.id for rule in UNFINISHED])
@given(st.data())
@settings(max_examples=10)
def test_every_beginning_of_a_secret_is_announced_and_found(rule: Rule, data: st.DataObject) -> None:
    # Python takes the flag at the beginning only. Cases differ then, too, and announcements ignore them.
    pattern = f"(?i){rule.unfinished.replace('(?i)', '')}" if "(?i)" in rule.unfinished else rule.unfinished
    beginning = data.draw(st.from_regex(re.compile(pattern.encode()), fullmatch=True))
    words = [word.encode() for word in rule.announcements or rule.keywords]
    assert any(word in beginning.lower() for word in words)
    text = b'{"text":"it is ' + beginning + b'"}'
    if LinearPattern(f'(?:{rule.unfinished})"'.encode()).found_in(text):
        assert rule.id in {found.kind for found in scanner().scan(text).beginnings}


def test_a_pattern_of_a_person_is_bounded() -> None:
    for pattern, reason in (
        ("(", "missing"),
        ("a*", "empty"),
        ("(?=a)b", "invalid"),
        (r"(a)\1", "invalid"),
        ("((a{900}){900})", "big|large|size"),
    ):
        with pytest.raises(InvalidPattern, match=reason):
            small_pattern(pattern)
    assert [spans[0] for spans in small_pattern("ü+").matches("aüü".encode())] == [(1, 5)]


def test_a_set_searches_all_patterns_at_once() -> None:
    patterns = PatternSet([b"abc", b"x.z"], ignore_case=True)
    assert sorted(patterns.found_in(b"XYZ and aBc")) == [0, 1]
    assert list(patterns.found_in(b"nothing")) == []
    with pytest.raises(InvalidPattern):
        PatternSet([b"("])
