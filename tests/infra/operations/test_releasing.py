"""A release has one version, a dated changelog, a bill of materials and its source."""

import json
import re
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.operations import releasing
from infra.operations.releasing import NotReleasable, bill_of_materials, current, files, locked, prepare, section

CHANGES = """# Changelog

## [Unreleased]

### Added
- A thing.

## [0.1.0] - 2026-11-01

### Added
- The first thing.
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    (tmp_path / "pyproject.toml").write_text('name = "x"\nversion = "0.1.0"\n')
    (tmp_path / "release.py").write_text('VERSION = "0.1.0"\n')
    first, second = releasing.PLACES.values()
    places = {tmp_path / "pyproject.toml": first, tmp_path / "release.py": second}
    monkeypatch.setattr(releasing, "PLACES", places)
    monkeypatch.setattr(releasing, "CHANGELOG", tmp_path / "CHANGELOG.md")
    return tmp_path


def test_all_places_of_this_checkout_have_one_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", current())


def test_a_release_writes_its_version_everywhere_and_dates_the_changelog(checkout: Path) -> None:
    prepare("0.2.0", "2026-11-29")
    assert current() == "0.2.0"
    assert 'version = "0.2.0"' in (checkout / "pyproject.toml").read_text()
    text = (checkout / "CHANGELOG.md").read_text()
    assert "## [Unreleased]\n\n## [0.2.0] - 2026-11-29\n\n### Added\n- A thing.\n" in text
    assert section(text, "0.2.0") == "### Added\n- A thing."
    assert section(text, "Unreleased") == ""


@pytest.mark.parametrize(
    ("version", "said"), [("0.0.9", "not older"), ("two", "such as"), ("0.1.0", "a part for 0.1.0 already")]
)
def test_a_wrong_version_is_refused(checkout: Path, version: str, said: str) -> None:
    with pytest.raises(NotReleasable, match=said):
        prepare(version, "2026-11-29")
    assert (checkout / "CHANGELOG.md").read_text() == CHANGES


def test_a_release_without_changes_is_refused(checkout: Path) -> None:
    prepare("0.2.0", "2026-11-29")
    with pytest.raises(NotReleasable, match="says nothing"):
        prepare("0.3.0", "2026-11-30")


def test_its_files_are_source_bill_and_notes(checkout: Path) -> None:
    made = files("v0.1.0", checkout / "dist")
    assert [path.name for path in made] == ["opencode-cloud-0.1.0.tar.gz", "opencode-cloud-0.1.0.cdx.json", "notes.md"]
    assert made[2].read_text() == "### Added\n- The first thing.\n"
    with tarfile.open(made[0]) as archive:
        assert "opencode-cloud-0.1.0/Makefile" in archive.getnames()


@pytest.mark.parametrize("tag", ["", "v0.2.0", "0.1.0"])
def test_a_tag_that_is_not_the_version_is_refused(checkout: Path, tag: str) -> None:
    with pytest.raises(NotReleasable, match=r"has version 0\.1\.0"):
        files(tag, checkout / "dist")


def test_the_bill_names_every_locked_library_once_with_its_hashes() -> None:
    bill = json.loads(json.dumps(bill_of_materials("0.1.0", datetime(2026, 11, 29, tzinfo=UTC))))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    named = [it["purl"] for it in bill["components"]]
    assert len(named) == len(set(named)) > 50
    wanted = {
        f"pkg:pypi/{name}@{version}"
        for path in releasing.LOCKS.glob("*.txt")
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), flags=re.MULTILINE)
    }
    assert set(named) == wanted
    assert all(it["hashes"] and len(it["hashes"][0]["content"]) == 64 for it in bill["components"])


def test_hashes_belong_to_the_library_above_them() -> None:
    hashes = [f"    --hash=sha256:{digit * 64}" for digit in "012"]
    lines = ["a==1 \\", f"{hashes[0]} \\", hashes[1], "    # via b", "b==2 ; os_name == 'nt' \\", hashes[2], ""]
    text = "\n".join(lines)
    assert list(locked(text)) == [("a", "1", ["0" * 64, "1" * 64]), ("b", "2", ["2" * 64])]
