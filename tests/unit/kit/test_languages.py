from __future__ import annotations

import pytest

from opencode_cloud.kit import languages
from opencode_cloud.kit.languages import PageLanguage, gettext, negotiate, ngettext, pgettext, speaking

IN_CHINESE = PageLanguage("zh-CN")


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("zh", "zh-CN"),
        ("ZH-cn", "zh-CN"),
        ("zh-Hans", "zh-CN"),
        ("zh-Hans-SG;q=0.4", "zh-CN"),
        ("zh-TW,zh-Hant;q=0.9", "en"),
        ("zh-TW,zh;q=0.8,en;q=0.7", "zh-CN"),
        ("de-DE,de;q=0.9,zh-CN;q=0.2", "zh-CN"),
        ("de-DE,de;q=0.9", "en"),
        ("en-GB,zh-CN;q=0.9", "en"),
        ("en;q=0.5,zh-CN;q=0.9", "zh-CN"),
        ("zh-CN;q=0", "en"),
        ("zh-CN;q=0,*", "en"),
        ("*", "en"),
        ("zh-CN;q=one", "en"),
        ("zh-CN;q=nan,zh-CN;q=7", "en"),
        ("zh-CN ; q = 0.3", "zh-CN"),
        ("zhuang", "en"),
        (",;,q=1,;;zh", "en"),
    ],
)
def test_the_language_follows_the_weights_of_the_header(accepted: str, expected: str) -> None:
    assert negotiate(accepted) == expected


def test_a_choice_precedes_the_header_and_an_unknown_one_is_ignored() -> None:
    assert negotiate("zh-CN", "en") == "en"
    assert negotiate("en", "zh-CN") == "zh-CN"
    assert negotiate("zh-CN", "de") == "zh-CN"


def test_a_long_header_costs_little() -> None:
    assert negotiate("de," * 100_000 + "zh-CN") == "en"


def test_messages_are_in_english_outside_of_a_language() -> None:
    assert gettext("Copy") == "Copy"
    with speaking(IN_CHINESE):
        assert gettext("Copy") == "复制"
        with speaking(PageLanguage()):
            assert gettext("Copy") == "Copy"
    assert gettext("Copy") == "Copy"


def test_an_unknown_message_stays_english() -> None:
    with speaking(IN_CHINESE):
        assert gettext("No translation of this: 100 %") == "No translation of this: 100 %"


def test_placeholders_are_filled() -> None:
    assert gettext("Agent: %(name)s", name="%(x)s") == "Agent: %(x)s"
    with speaking(IN_CHINESE):
        assert gettext("Subtask for %(agent)s: %(words)s", agent="build", words="100 %").startswith("build 的子任务")


def test_numbers_choose_a_form_where_the_language_has_several() -> None:
    def shown(number: int) -> str:
        return ngettext("%(num)s turn", "%(num)s turns", number)

    assert [shown(0), shown(1), shown(2)] == ["0 turns", "1 turn", "2 turns"]
    with speaking(IN_CHINESE):
        assert [shown(1), shown(2)] == ["1 轮", "2 轮"]


def test_a_context_tells_meanings_apart() -> None:
    with speaking(IN_CHINESE):
        assert (pgettext("keyboard", "Keys"), gettext("Keys")) == ("快捷键", "密钥")


def test_translations_are_read_once() -> None:
    with speaking(IN_CHINESE):
        gettext("Copy")
        before = languages._translations.cache_info().misses
        gettext("Close")
        assert languages._translations.cache_info().misses == before
