"""A linter for plain English (CONTRIBUTING, "Language"): ``python -m tests.language PATH ...`` lists findings.

It reads prose from Markdown, templates, mails, scripts, styles, build and settings files, and Python (docstrings,
comments and string literals), and matches a few patterns of sentences that a reader has to parse twice.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SELF = ("tests/language.py", "tests/unit/test_language.py")
"""Files that quote the patterns."""
GENERATED = ("docs/openapi.json", "docs/roles.md", "package-lock.json")
_VERBS = (
    "is|are|was|were|has|have|had|can|could|may|might|must|will|would|shall|should|does|do|did|"
    "came|comes|come|goes|go|went|gets|needs|knows|uses|takes|makes|costs|counts|stays"
)


@dataclass(frozen=True)
class Rule:
    """A pattern of sentences to avoid, and the advice that goes with it."""

    pattern: re.Pattern[str]
    advice: str


@dataclass(frozen=True)
class Finding:
    """A sentence that breaks a rule."""

    path: str
    line: int
    sentence: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.advice}: {self.sentence}"


@dataclass(frozen=True)
class Passage:
    """A piece of prose and the line where it begins."""

    line: int
    text: str


def _rule(pattern: str, advice: str) -> Rule:
    return Rule(re.compile(pattern), advice)


RULES = (
    _rule(r"\b[Nn]obody\b", "nobody is not an agent: write what happens, or name the thing"),
    _rule(r"\b[Ww]hoever\b", "name the person: the owner, the caller, anyone with the link"),
    _rule(r"^(?:Who|Whom|Whose)\b(?!.*\?$)(?:\s+\S+){4,}", "a relative clause is no subject: name the person"),
    _rule(r"^What\b(?!.*\?$)(?:\s+\S+){4,}", "a relative clause is no subject: name the thing"),
    _rule(r"[;:] who(?:m|se)? (?!\w+\?)", "a relative clause is no subject: name the person"),
    _rule(rf"[;:] what (?:{_VERBS})\b", "a relative clause is no subject: name the thing"),
    _rule(r"\b[Ww]hat (?:nothing|no one)\b", "name the thing"),
    _rule(r"\b[Ww]hat of (?:a|an|the|it|its|each|them)\b|\bwhat (?:is|are|was) none\b", "name the thing"),
    _rule(r"^Of\b", "begin with the subject"),
    _rule(r"\bof ours\b", "write our, or name the thing"),
    _rule(
        r"\b(?:is|are) to be (?:\w+ed|\w+en|said|told|found|made|kept|known|sent|read|done)\b", "use can, must or will"
    ),
    _rule(r"\banew\b", "write again, or resets"),
    _rule(r"\bthat (?:is|are) none\b|\bnone of ours\b", "write invalid, or not in the expected format"),
    _rule(r"\bholds? (?:it|them|this) against\b|\bheld against\b", "write compare with"),
)


def findings(path: Path, name: str) -> list[Finding]:
    """Return the findings in the file ``path``, reported under ``name``; [] for files without prose."""
    reader = _reader(path)
    if reader is None or name in GENERATED or name in SELF:
        return []
    return [
        Finding(name, line, sentence, rule.advice)
        for passage in reader(path.read_text(encoding="utf-8"))
        for line, sentence in _sentences(passage)
        for rule in RULES
        if rule.pattern.search(sentence)
    ]


def tracked(prefixes: Sequence[str] = ()) -> list[str]:
    """Return the names of all files of the repository, or of those below ``prefixes``."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *prefixes]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(name for name in set(listed) if (ROOT / name).is_file())


def check(prefixes: Sequence[str] = ()) -> list[Finding]:
    """Return all findings in the repository's files, or in those below ``prefixes``."""
    return [found for name in tracked(prefixes) for found in findings(ROOT / name, name)]


def _sentences(passage: Passage) -> Iterator[tuple[int, str]]:
    start = 0
    for match in re.finditer(r"(?<=[.!?])[)\"”']?\s+(?=[A-Z\"“(`])|\n\s*\n|\Z", passage.text):
        raw = passage.text[start : match.start()]
        lead = len(raw) - len(raw.lstrip())
        line = passage.line + passage.text[: start + lead].count("\n")
        sentence = re.sub(r"\s+", " ", raw).strip(' "“(*')
        if sentence:
            yield line, sentence
        start = match.end()


def _reader(path: Path) -> Callable[[str], Iterator[Passage]] | None:
    if path.name in ("Makefile", "Dockerfile"):
        return _hash_comments
    return {
        ".md": _markdown,
        ".html": _template,
        ".mjml": _template,
        ".txt": _template if "mail" in path.parts else None,
        ".py": _python,
        ".js": _block_comments,
        ".css": _block_comments,
        ".toml": _hash_comments,
        ".in": _hash_comments,
        ".sh": _hash_comments,
        ".yml": _hash_comments,
    }.get(path.suffix)


def _markdown(text: str) -> Iterator[Passage]:
    fenced = False
    start, paragraph = 1, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
            line = ""
        begins = re.match(r"\s*(?:[-*+] |\d+\. |#|\||>)", line)
        if paragraph and (fenced or not line.strip() or begins):
            yield Passage(start, _plain("\n".join(paragraph)))
            paragraph = []
        if fenced or not line.strip():
            continue
        if line.lstrip().startswith("|"):
            yield from (Passage(number, _plain(cell.strip())) for cell in re.split(r"(?<!\\)\|", line))
            continue
        if not paragraph:
            start = number
        paragraph.append(re.sub(r"^\s*(?:[-*+] |\d+\. |#+ |> )", "", line))


def _plain(text: str) -> str:
    text = re.sub(r"`[^`]*`", "`x`", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\*\*|(?<!\w)\*|\*(?!\w)", "", text)


def _template(text: str) -> Iterator[Passage]:
    for attribute in re.finditer(r"(?:placeholder|aria-label|title|alt)=\"([^\"]+)\"", text):
        yield Passage(_line(text, attribute.start()), _values(attribute[1]))
    blocks = r"\{%.*?%\}|</?(?!b\b|i\b|em\b|a\b|strong\b|code\b|small\b)[a-z][^>]*>|\{#|#\}"
    position = 0
    for tag in [*re.finditer(blocks, text, flags=re.DOTALL), None]:
        end = tag.start() if tag else len(text)
        piece = re.sub(r"</?[a-z][^>]*>", "", _values(text[position:end]))
        if re.search(r"[A-Za-z]{2,} ", piece):
            yield Passage(_line(text, position), piece)
        position = tag.end() if tag else end


def _values(text: str) -> str:
    return re.sub(r"\{\{.*?\}\}", "X", text, flags=re.DOTALL)


def _line(text: str, position: int) -> int:
    return text[:position].count("\n") + 1


def _python(text: str) -> Iterator[Passage]:
    strings = list(_strings(ast.parse(text)))
    lines = [line.encode() for line in text.splitlines()]
    for node, _ in strings:  # blank the strings, so that each remaining # begins a comment
        for row in range(node.lineno - 1, (node.end_lineno or node.lineno)):
            start = node.col_offset if row == node.lineno - 1 else 0
            end = node.end_col_offset if row == (node.end_lineno or 0) - 1 else None
            line = lines[row]
            end = len(line) if end is None else end
            lines[row] = line[:start] + b" " * (end - start) + line[end:]
    yield from _hash_comments(b"\n".join(lines).decode(errors="replace"))
    for node, words in strings:
        if len(words.split()) > 2:
            yield Passage(node.lineno, re.sub(r"``?[^`\n]+``?", "`x`", words))


def _strings(tree: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """Yield the string literals of a module. For an f-string, yield its constant parts with X for each value."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.JoinedStr):
            yield node, "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                yield node, node.value
        else:
            for field in node._fields:
                value = getattr(node, field, None)
                if isinstance(value, list):
                    waiting.extend(part for part in value if isinstance(part, ast.AST))
                elif isinstance(value, ast.AST):
                    waiting.append(value)


def _hash_comments(text: str) -> Iterator[Passage]:
    return _line_comments(text, re.compile(r"(^|\s)#+:? (.*)$"))


def _block_comments(text: str) -> Iterator[Passage]:
    for match in re.finditer(r"/\*(.*?)\*/", text, flags=re.DOTALL):
        yield Passage(_line(text, match.start()), re.sub(r"(?m)^\s*\* ?", "", match[1]))
    yield from _line_comments(text, re.compile(r"(^|\s)// (.*)$"))


def _line_comments(text: str, comment: re.Pattern[str]) -> Iterator[Passage]:
    """Yield comments. Comments on consecutive lines are one passage, because a sentence can span lines."""
    start, words = 0, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        match = comment.search(line)
        fills = match is not None and not line[: match.start()].strip()
        if words and not fills:
            yield Passage(start, "\n".join(words))
            words = []
        if match and not fills:
            yield Passage(number, match[2])
        elif match:
            start = start if words else number
            words.append(match[2])


def main() -> None:
    """List the findings below the paths that were given, or in all files."""
    found = check([str(Path(path).resolve().relative_to(ROOT)) for path in sys.argv[1:]])
    for each in found:
        print(each)
    print(f"{len(found)} found")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
