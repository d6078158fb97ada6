"""Markdown of users and models as elements: GitHub's dialect without HTML. `web/static/prose.js` has the same rules.

Safe by construction: a library parses, this module makes elements for the tokens that it names, and a link leads to the
web or to mail. Pictures are named and never loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.sharing.rendering.nodes import Element, Node, element

LIMIT = 100_000
"""Characters of one text. A longer text is shown as it was written."""
_NESTING = 20
_HEADINGS = {"h1": "h3", "h2": "h3", "h3": "h4", "h4": "h5", "h5": "h6", "h6": "h6"}  # below the head of a message
_CONTAINERS = frozenset({"p", "ul", "ol", "li", "blockquote", "thead", "tbody", "tr", "th", "td", "strong", "em", "s"})
_TARGET = re.compile(r"(?:https?://|mailto:)[^\x00-\x20]", re.ASCII | re.IGNORECASE)
_BARE_URL = re.compile(r"https?://[^<>\"'`\x00-\x20]+")
_LANGUAGE = re.compile(r"[\w+#.-]{1,40}", re.ASCII)
_TASK = re.compile(r"\[([ xX])\](?= )", re.ASCII)
_SHORTEST_URL = 9  # characters: a scheme and a letter
_BLANK = " \t\n"
_ENDS_A_URL = frozenset(".,;:!?*_~]}")
_LINK_RELATION = "nofollow noopener noreferrer"


def prose(words: str, *, finished: bool = True) -> list[Node]:
    """Return the elements of a text in Markdown. Show a text that is not ``finished`` as if its marks were closed."""
    if len(words) > LIMIT:
        return [element("p", {"class": "plain"}, words)]
    return _blocks(_parser().parse(words if finished else settled(words)))


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("js-default", {"maxNesting": _NESTING})
    # A line of dashes under a growing paragraph would turn it into a heading while it arrives.
    parser.disable(["lheading", "html_block", "html_inline"])
    parser.inline.ruler.before("escape", "math", _math)
    setattr(parser, "normalizeLink", str)  # noqa: B010 - a browser normalizes the few targets that are allowed
    setattr(parser, "normalizeLinkText", str)  # noqa: B010
    setattr(parser, "validateLink", bool)  # noqa: B010 - _link decides
    return parser


def _math(state: StateInline, silent: bool) -> bool:
    """Keep a formula between dollars as it was written: backslashes and underscores mean nothing else in it."""
    source, begin = state.src, state.pos
    if source[begin] != "$":
        return False
    mark = "$$" if source.startswith("$$", begin) else "$"
    end = source.find(mark, begin + len(mark))
    inner = source[begin + len(mark) : end] if end > 0 else ""
    after = source[end + len(mark) : end + len(mark) + 1]
    if not inner or (mark == "$" and (inner[0] in _BLANK or inner[-1] in _BLANK or "0" <= after <= "9")):
        return False
    if not silent:
        token = state.push("math", "", 0)
        token.content = source[begin : end + len(mark)]
    state.pos = end + len(mark)
    return True


def _blocks(tokens: Sequence[Token]) -> list[Node]:
    root: list[Node] = []
    open_lists = [root]
    for token in tokens:
        if token.type == "inline":
            open_lists[-1].extend(_inline(token.children or []))
        elif token.nesting < 0:
            open_lists.pop()
        elif token.nesting == 0:
            open_lists[-1].append(_leaf(token))
        elif token.hidden:  # the paragraph of a tight list
            open_lists.append(open_lists[-1])
        else:
            made, children = _opened(token)
            open_lists[-1].append(made)
            open_lists.append(children)
    _mark_tasks(root)
    return root


def _opened(token: Token) -> tuple[Element, list[Node]]:
    """Return the element of an opening token, and the list that takes its children."""
    if token.tag == "table":
        table = element("table")
        return element("div", {"class": "table", "role": "group", "aria-label": _("Table"), "tabindex": "0"}, table), (
            table.children
        )
    made = element(_HEADINGS.get(token.tag) or (token.tag if token.tag in _CONTAINERS else "div"))
    if token.tag == "ol" and token.attrGet("start") is not None:
        made.attributes["start"] = str(token.attrGet("start"))
    if token.tag in ("th", "td") and token.attrGet("style"):
        made.attributes["class"] = str(token.attrGet("style")).removeprefix("text-align:")
    return made, made.children


def _leaf(token: Token) -> Node:
    if token.type == "hr":
        return element("hr")
    found = _LANGUAGE.match(token.info.strip()) if token.type == "fence" else None
    return code_block(token.content, found[0].lower() if found else "")


def code_block(words: str, language: str = "") -> Element:
    """Return a block of code. The browser highlights it by the class of its language."""
    shown = {"class": f"language-{language}"} if language else {}
    head = element(
        "div", {"class": "code-head"}, element("span", {"class": "language"}, language), copy_button(_("Copy code"))
    )
    return element("div", {"class": "code"}, head, element("pre", {"tabindex": "0"}, element("code", shown, words)))


def copy_button(label: str) -> Element:
    """Return a button that copies; ``label`` says what. Pages show it only where scripts run."""
    return element("button", {"class": "copy", "type": "button", "aria-label": label}, _("Copy"))


def _inline(tokens: Sequence[Token]) -> list[Node]:
    root: list[Node] = []
    open_lists = [root]
    links = 0
    for token in tokens:
        here = open_lists[-1]
        if token.nesting > 0:
            made = _link(str(token.attrGet("href") or "")) if token.type == "link_open" else element(_span_tag(token))
            links += token.type == "link_open"
            here.append(made)
            open_lists.append(made.children)
        elif token.nesting < 0:
            links -= token.type == "link_close"
            open_lists.pop()
        elif token.type == "code_inline":
            here.append(element("code", {}, token.content))
        elif token.type == "math":
            here.append(element("code", {"class": "math"}, token.content))
        elif token.type == "hardbreak":
            here.append(element("br"))
        elif token.type == "softbreak":
            here.append("\n")
        elif token.type == "image":
            here.append(_picture(token, in_link=links > 0))
        else:
            here.extend([token.content] if links else _with_links(token.content))
    return [node for node in root if node != ""]


def _span_tag(token: Token) -> str:
    return token.tag if token.tag in _CONTAINERS else "span"


def web_link(url: str) -> Element:
    """Return a link to the web under its own URL; other URLs become plain text."""
    made = _link(url)
    made.children.append(url)
    return made


def _link(target: str) -> Element:
    if not _TARGET.match(target):
        return element("span", {"class": "no-link", "title": target})
    return element("a", {"href": target, "rel": _LINK_RELATION, "target": "_blank"})


def _picture(token: Token, *, in_link: bool) -> Element:
    made = element("span") if in_link else _link(str(token.attrGet("src") or ""))
    made.attributes["class"] = "picture"
    made.children.append(_("Image: %(words)s", words=_alternative(token.children or []) or _("no description")))
    return made


def _alternative(tokens: Sequence[Token]) -> str:
    return "".join(_alternative(token.children or []) if token.type == "image" else token.content for token in tokens)


def _with_links(words: str) -> Iterator[Node]:
    """Make links of the URLs in a text, as GitHub does."""
    at = 0
    for found in _BARE_URL.finditer(words):
        url = _trimmed(found[0])
        if found.start() > at:
            yield words[at : found.start()]
        yield web_link(url)
        at = found.start() + len(url)
    if at < len(words):
        yield words[at:]


def _trimmed(url: str) -> str:
    """Cut punctuation from the end of a URL, and a closing parenthesis that nothing in it opens."""
    surplus = url.count(")") - url.count("(")
    end = len(url)
    while end > _SHORTEST_URL:
        last = url[end - 1]
        if last == ")" and surplus > 0:
            surplus -= 1
        elif last not in _ENDS_A_URL:
            break
        end -= 1
    return url[:end]


def _mark_tasks(nodes: Sequence[Node]) -> None:
    """Turn ``[x]`` at the beginning of list items into a box."""
    for node in nodes:
        if isinstance(node, str):
            continue
        if node.tag == "li":
            _mark_task(node)
        _mark_tasks(node.children)


def _mark_task(item: Element) -> None:
    line = item
    if line.children and isinstance(line.children[0], Element) and line.children[0].tag == "p":
        line = line.children[0]
    first = line.children[0] if line.children else None
    found = _TASK.match(first) if isinstance(first, str) else None
    if found and isinstance(first, str):
        done = found[1] != " "
        item.attributes["class"] = "task"
        line.children[0] = first[found.end() :]
        line.children.insert(0, box("done" if done else "open"))


def box(status: str) -> Element:
    """Return the box of a task."""
    return element("span", {"class": "box", "role": "img", "aria-label": _(status), "data-status": status})


_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ONLY_MARKS = re.compile(r"[ \t]*(?:[-=*+#>|:`~_ \t]+|\d{1,9}[.)])[ \t]*", re.ASCII)
_OPEN_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\n]*", re.ASCII)


def settled(words: str) -> str:
    """Return a text that is still arriving as it will probably look, so that nothing jumps when the next words come.

    A last line of marks alone is held back. Emphasis, code and a link that are open in the last paragraph are closed.
    """
    begin, fence = 0, ""
    at = 0
    for line in words.split("\n"):
        found = _FENCE.match(line)
        if found and (not fence or (found[1].startswith(fence) and not line.strip(_BLANK).strip(fence[0]))):
            fence = "" if fence else found[1]
        at += len(line) + 1
        if not line.strip(_BLANK):
            begin = at
    if fence:
        return words
    head, last = words[:begin], words[begin:]
    lines = last.split("\n")
    if _ONLY_MARKS.fullmatch(lines[-1]):
        lines.pop()
    return head + _closed("\n".join(lines))


def _closed(paragraph: str) -> str:
    opening = paragraph.rfind("[")
    found = _OPEN_LINK.fullmatch(paragraph, max(0, opening)) if opening >= 0 else None
    if found:
        paragraph = paragraph[:opening].removesuffix("!") + found[1]
    if paragraph.count("`") % 2:
        return paragraph + "`"
    for mark in ("**", "~~"):
        if paragraph.count(mark) % 2:
            paragraph = (
                paragraph.rstrip(_BLANK) + mark if not paragraph.endswith(mark) else paragraph.removesuffix(mark)
            )
    return paragraph
