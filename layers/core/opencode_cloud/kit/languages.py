"""Languages of pages: the reader's choice, and the translations of messages into it.

A message is its English text. ``make messages`` collects the messages of templates, scripts and Python, and compiles
the translations into each other language. A message without a translation is shown in English.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import MappingProxyType

import msgspec

from opencode_cloud.kit.web_folder import web_folder

ENGLISH = "en"
CHINESE = "zh-CN"
LANGUAGES: Mapping[str, str] = MappingProxyType({ENGLISH: "English", CHINESE: "简体中文"})
"""The languages of the pages by their tags (BCP 47), each with its name in itself."""

CONTEXT_MARK = "\x04"
"""Between the context and the text of a message, as in gettext's own files."""

_MOST_RANGES = 50  # of one header; browsers send fewer than ten


class PageLanguage(msgspec.Struct, frozen=True):
    """The language of an answer. ``switches`` are the references to the same page in the other languages, by tag."""

    tag: str = ENGLISH
    switches: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])


_IN_ENGLISH = PageLanguage()
_present: ContextVar[PageLanguage] = ContextVar("page_language", default=_IN_ENGLISH)


@contextmanager
def speaking(language: PageLanguage) -> Generator[None]:
    """Translate into ``language`` within this context. Outside of it, messages are in English."""
    token = _present.set(language)
    try:
        yield
    finally:
        _present.reset(token)


def present() -> PageLanguage:
    """Return the language of this context."""
    return _present.get()


def negotiate(accepted: str, chosen: str = "") -> str:
    """Return the tag of the language for a reader.

    Args:
        accepted: The header ``Accept-Language`` (RFC 9110, 12.5.4).
        chosen: The tag that the reader chose before. It precedes the header; an unknown one is ignored.
    """
    if chosen in LANGUAGES:
        return chosen
    best, most = ENGLISH, 0.0
    for wanted in accepted.split(",")[:_MOST_RANGES]:
        name, _, parameter = wanted.partition(";")
        tag, quality = _language_of(name.strip().lower()), _quality(parameter)
        if tag and quality > most:
            best, most = tag, quality
    return best


def _language_of(wanted: str) -> str:
    """Return the language that a range in small letters asks for; empty if no page is in it.

    Traditional Chinese is another written language than the one of our pages.
    """
    if wanted in ("zh", "zh-cn", "zh-hans") or wanted.startswith("zh-hans-"):
        return CHINESE
    return ENGLISH if wanted in ("en", "*") or wanted.startswith("en-") else ""


def _quality(parameter: str) -> float:
    """Return the weight of a range, from 0 to 1; 0 for one that cannot be read."""
    if not parameter.strip():
        return 1
    name, _, value = parameter.partition("=")
    try:
        quality = float(value) if name.strip().lower() == "q" else 0
    except ValueError:
        return 0
    return quality if 0 <= quality <= 1 else 0


def gettext(message: str, **values: object) -> str:
    """Translate a message. With ``values``, replace its placeholders ``%(name)s``."""
    words = _translations(present().tag).get(message, message)
    return words % values if values else words


def ngettext(one: str, many: str, num: int, **values: object) -> str:
    """Translate a message with a number: ``one`` for 1, else ``many``. The number replaces ``%(num)s``."""
    words = _translations(present().tag).get(one)
    if words is None:
        words = one if num == 1 else many
    return words % {"num": num, **values}


def pgettext(context: str, message: str, **values: object) -> str:
    """Translate a message whose English has several meanings; ``context`` tells which."""
    words = _translations(present().tag).get(f"{context}{CONTEXT_MARK}{message}", message)
    return words % values if values else words


@lru_cache(maxsize=len(LANGUAGES))
def _translations(tag: str) -> Mapping[str, str]:
    if tag == ENGLISH:
        return {}
    return msgspec.json.decode((web_folder() / "languages" / f"{tag}.json").read_bytes(), type=dict[str, str])
