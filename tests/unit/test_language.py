"""Prose is plain English (CONTRIBUTING, "Language")."""

from pathlib import Path

import pytest

from tests.language import check, findings


def test_every_sentence_is_plain() -> None:
    found = check()
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize(
    "sentence",
    [
        "Pages are told apart by nobody.",
        "Whoever loses it makes another one.",
        "Who is invited again gets their old membership back.",
        "What nothing reads is gone.",
        "What is charged counts on the balance.",
        "The link is for you; who gets it may decline.",
        "Of the address the host only.",
        "What cost anything is to be seen.",
        "It begins anew on 1 December.",
        "Another 5xx, or an answer that is none.",
        "The cursor is none of ours.",
        "Tests hold it against the binary.",
    ],
)
def test_a_sentence_that_is_hard_to_read_is_found(tmp_path: Path, sentence: str) -> None:
    (tmp_path / "page.md").write_text(f"# Title\n\nA plain sentence.\n{sentence}\n")
    assert findings(tmp_path / "page.md", "page.md")


@pytest.mark.parametrize(
    "sentence",
    [
        "Who may do what?",
        "The owner revokes the key.",
        "Members who left lose access.",
        "See what changed.",
        "Counters with a zero claim are skipped.",
    ],
)
def test_a_plain_sentence_is_not_found(tmp_path: Path, sentence: str) -> None:
    (tmp_path / "page.md").write_text(sentence)
    assert not findings(tmp_path / "page.md", "page.md")


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.md", "Fine.\n\n- Also fine, over\n  two lines. Nobody is\n  wrong.\n", 4),
        ("a.md", "| a | b |\n|---|---|\n| fine | whoever asks |\n", 3),
        ("a.py", '"""Fine."""\n\nX = 1\n"""\nFine too.\n\nNobody reads this."""\n', 7),
        ("a.py", "X = 1  # fine\n# fine, and\n# nobody cares\n", 2),
        ("a.py", 'X = 1\nprint(f"{X} begins anew on Monday")\n', 2),
        ("a.html", "<p>Fine.</p>\n{% if x %}\n<p>Nobody has invited <b>you</b>.</p>\n", 3),
        ("a.html", '<p>Fine.</p>\n<input placeholder="For whoever reads this">\n', 2),
        ("a.js", "let x = 1;\n// nobody calls this\n", 2),
        ("a.css", "p { color: red; } /* fine */\n/* for nobody */\n", 2),
        ("Makefile", "x: ## Begin anew\n", 1),
    ],
)
def test_a_finding_names_its_line(tmp_path: Path, name: str, text: str, line: int) -> None:
    (tmp_path / name).write_text(text)
    assert [each.line for each in findings(tmp_path / name, name)] == [line]


def test_code_is_not_prose(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Run `nobody whoever anew`:\n\n```sh\nsu nobody\n```\n")
    assert not findings(tmp_path / "a.md", "a.md")
