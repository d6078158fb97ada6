"""Find the opencode binaries that the tests drive: the versions of package.json, as npm unpacked them."""

import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from tests.waiting import PATIENCE

Generation = Literal["legacy", "1.1", "1.2", "1.14", "current"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Release:
    """One version of opencode as npm unpacks it: `<folder>/<package>-<system>-<machine>`."""

    version: str
    package: str
    folder: Path
    override: str
    """The environment variable with the path of another binary."""


NODE_MODULES = ROOT / "node_modules"
CLIENTS = ROOT / "tests" / "clients" / "node_modules"
RELEASES: dict[Generation, Release] = {
    "legacy": Release("1.0.61", "opencode-legacy", NODE_MODULES, "OPENCODE_LEGACY_BINARY"),
    "1.1": Release("1.1.65", "opencode-1.1", CLIENTS, "OPENCODE_1_1_BINARY"),
    "1.2": Release("1.2.27", "opencode-1.2", CLIENTS, "OPENCODE_1_2_BINARY"),
    "1.14": Release("1.14.41", "opencode-1.14", CLIENTS, "OPENCODE_1_14_BINARY"),
    "current": Release("1.18.33", "opencode", NODE_MODULES, "OPENCODE_BINARY"),
}
"""One obtainable release of each generation (docs/protocol.md)."""
SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
MACHINES = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}
# npm has one package for each build, and unpacks all that may fit. Use the first one that starts on this machine.
BUILDS = ("", "-baseline", "-musl", "-baseline-musl")


class BinaryMissingError(RuntimeError):
    """No binary of the wanted version that runs on this machine; the message says what to do."""


@cache
def find(generation: Generation) -> Path:
    """Return the binary of that generation for this machine, after checking its version.

    Raises BinaryMissingError, whose message names every path that was tried.
    """
    release = RELEASES[generation]
    tried = _candidates(release)
    for path in tried:
        if path.is_file() and _version(path) == release.version:
            return path
    places = "\n  ".join(str(path) for path in tried)
    raise BinaryMissingError(
        f"no opencode {release.version} that runs on {platform.system()} {platform.machine()}. Run `make setup` in "
        f"{ROOT} (`make clients` for the slow tests); where package.json has no build for this machine, install one "
        f"yourself and point {release.override} "
        f"at it. Tried:\n  {places}"
    )


def _candidates(release: Release) -> list[Path]:
    if override := os.environ.get(release.override):
        return [Path(override)]
    system = SYSTEMS.get(platform.system())
    machine = MACHINES.get(platform.machine().lower())
    if system is None or machine is None:
        return []
    packages = [f"{release.package}-{system}-{machine}{build}" for build in BUILDS]
    return [release.folder / package / "bin" / "opencode" for package in packages]


def _version(path: Path) -> str | None:
    """Return the binary's version; None when it does not run here (another libc, a CPU without AVX2)."""
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()
