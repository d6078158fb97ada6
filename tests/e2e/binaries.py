"""Find the opencode binaries that the tests drive: the versions of package.json, as npm unpacked them."""

import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal

Generation = Literal["current", "legacy"]

ROOT = Path(__file__).resolve().parents[2]
VERSIONS: dict[Generation, str] = {"current": "1.18.33", "legacy": "1.0.61"}
OVERRIDES: dict[Generation, str] = {"current": "OPENCODE_BINARY", "legacy": "OPENCODE_LEGACY_BINARY"}
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
    version = VERSIONS[generation]
    tried = _candidates(generation)
    for path in tried:
        if path.is_file() and _version(path) == version:
            return path
    places = "\n  ".join(str(path) for path in tried)
    raise BinaryMissingError(
        f"no opencode {version} that runs on {platform.system()} {platform.machine()}. Run `make setup` in {ROOT}; "
        f"where package.json has no build for this machine, install one yourself and point {OVERRIDES[generation]} "
        f"at it. Tried:\n  {places}"
    )


def _candidates(generation: Generation) -> list[Path]:
    if override := os.environ.get(OVERRIDES[generation]):
        return [Path(override)]
    system = SYSTEMS.get(platform.system())
    machine = MACHINES.get(platform.machine().lower())
    if system is None or machine is None:
        return []
    prefix = "opencode" if generation == "current" else "opencode-legacy"
    packages = [f"{prefix}-{system}-{machine}{build}" for build in BUILDS]
    return [ROOT / "node_modules" / package / "bin" / "opencode" for package in packages]


def _version(path: Path) -> str | None:
    """Return the binary's version; None when it does not run here (another libc, a CPU without AVX2)."""
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()
