"""`make release VERSION=...` prepares a release; `make release-files TAG=...` makes its files in `dist`."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.packaging import ROOT

VERSION = re.compile(r"\d+\.\d+\.\d+")
PLACES = {
    ROOT / "pyproject.toml": re.compile(r'^version = "(.+)"$', re.MULTILINE),
    ROOT / "layers" / "core" / "opencode_cloud" / "kit" / "release.py": re.compile(r'^VERSION = "(.+)"$', re.MULTILINE),
}
"""Files with the version. `make release` writes all of them, and a test compares them."""

CHANGELOG = ROOT / "CHANGELOG.md"
UNRELEASED = "## [Unreleased]"
LOCKS = ROOT / "layers" / "dependencies"
LOCKED = re.compile(r"^([\w.-]+)==(\S+)(?: ;.*)? \\$|^\s+--hash=sha256:([0-9a-f]{64})", re.MULTILINE)


class NotReleasable(Exception):
    """A release cannot be made. The message says why, and what to do."""


def main() -> None:
    """Prepare the release that VERSION names, or make the files of the release that TAG names."""
    try:
        if version := os.environ.get("VERSION"):
            prepare(version, datetime.now(UTC).date().isoformat())
            sys.stdout.write(
                f"Version {version} is written, and the changelog is dated. Next:\n"
                "  make freeze                  # notes what later releases must not replace\n"
                f"  git commit -am 'release: {version}' && git tag v{version} && git push origin main v{version}\n"
            )
        else:
            for path in files(os.environ.get("TAG", ""), ROOT / "dist"):
                sys.stdout.write(f"{path}\n")
    except NotReleasable as error:
        sys.exit(str(error))


def prepare(version: str, day: str) -> None:
    """Write a version into all its places, and give the changelog's unreleased part its number and `day`.

    Raises:
        NotReleasable: The version is no newer one, or nothing has changed since the last one.
    """
    if not VERSION.fullmatch(version) or _ordered(version) < _ordered(current()):
        raise NotReleasable(f"VERSION is a version such as 0.2.0, and not older than {current()}.")
    text = CHANGELOG.read_text()
    if f"## [{version}]" in text:
        raise NotReleasable(f"The changelog has a part for {version} already.")
    if not section(text, "Unreleased"):
        raise NotReleasable(f"{CHANGELOG.name} says nothing under {UNRELEASED}. Write what changed for operators.")
    CHANGELOG.write_text(text.replace(UNRELEASED, f"{UNRELEASED}\n\n## [{version}] - {day}", 1))
    for path, pattern in PLACES.items():
        path.write_text(pattern.sub(lambda found: found[0].replace(found[1], version), path.read_text(), count=1))


def current() -> str:
    """Return the version of this checkout."""
    found = {pattern.findall(path.read_text())[0] for path, pattern in PLACES.items()}
    if len(found) > 1:
        raise NotReleasable(f"The files {', '.join(path.name for path in PLACES)} have different versions.")
    return found.pop()


def files(tag: str, folder: Path) -> list[Path]:
    """Write source, bill of materials and notes of the release `tag` into `folder`, and return their paths.

    Raises:
        NotReleasable: The tag is not that of this checkout's version, or the changelog has no dated part for it.
    """
    version = current()
    if tag != f"v{version}":
        raise NotReleasable(f"TAG is {tag or 'not set'}, but this checkout has version {version}: v{version}.")
    notes = section(CHANGELOG.read_text(), version)
    if not notes:
        raise NotReleasable(f"{CHANGELOG.name} has no dated part for {version}: run make release VERSION={version}.")
    folder.mkdir(exist_ok=True)
    name = f"opencode-cloud-{version}"
    source, bill, said = (folder / file for file in (f"{name}.tar.gz", f"{name}.cdx.json", "notes.md"))
    command = ["git", "archive", "--format=tar.gz", f"--prefix={name}/", "-o", str(source), "HEAD"]
    subprocess.run(command, cwd=ROOT, check=True)
    bill.write_text(json.dumps(bill_of_materials(version, datetime.now(UTC)), indent=1) + "\n")
    said.write_text(notes + "\n")
    return [source, bill, said]


def section(text: str, name: str) -> str:
    """Return the part of a changelog for a version, without its heading; empty if there is none."""
    found = re.search(rf"^## \[{re.escape(name)}\].*\n([\s\S]*?)(?=^## \[|\Z)", text, flags=re.MULTILINE)
    return found[1].strip() if found else ""


def bill_of_materials(version: str, at: datetime) -> dict[str, Any]:
    """Return the libraries that functions and containers contain, as a CycloneDX 1.6 document.

    A library has the hashes of all its files that the lock lists admit, for each platform one or more.
    """
    libraries: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sorted(LOCKS.glob("*.txt")):
        for name, release, hashes in locked(path.read_text()):
            purl = f"pkg:pypi/{name}@{release}"
            libraries[name, release] = {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": release,
                "purl": purl,
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in hashes],
            }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": at.isoformat(timespec="seconds"),
            "component": {"type": "application", "name": "opencode-cloud", "version": version},
        },
        "components": [libraries[key] for key in sorted(libraries)],
    }


def locked(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield name, version and hashes of each library in a lock list."""
    found: list[tuple[str, str, list[str]]] = []
    for match in LOCKED.finditer(text):
        if match[1]:
            found.append((match[1], match[2], []))
        else:
            found[-1][2].append(match[3])
    yield from found


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


if __name__ == "__main__":
    main()
