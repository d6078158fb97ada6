"""The npm packages of a peer, in `.local/peers/<folder>`, beside a copy of its sources."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from local import setup

SOURCES = Path(__file__).resolve().parent
INSTALLED = setup.ROOT / ".local" / "peers"
BUILD_SECONDS = 600.0
_NATIVE = {"better-sqlite3": "build/Release/better_sqlite3.node"}
"""npm package -> its binary. A script of the package downloads it, or compiles it where no download is reachable."""


class NotInstalled(Exception):
    """The packages of a peer could not be installed. The message says what is missing."""


def install(folder: str) -> Path:
    """Bring the peer ``folder`` up to date and return where it is installed. This is quick if nothing has changed."""
    target = INSTALLED / folder
    target.mkdir(parents=True, exist_ok=True)
    for source in (SOURCES / folder).iterdir():
        if source.is_file():
            shutil.copyfile(source, target / source.name)
    try:
        setup.install_npm_packages(target)
    except SystemExit as error:  # for people at a terminal; here the other parts go on
        raise NotInstalled("npm could not install the packages. Is an npm registry reachable?") from error
    for package, binary in _NATIVE.items():
        home = target / "node_modules" / package
        if home.exists() and not (home / binary).exists():
            _build(target, package)
    return target


def _build(folder: Path, package: str) -> None:
    """Run the install script of one package. The scripts of all others stay off."""
    setup.say(f"Building {package} for Node (a minute, once)")
    command = ["npm", "rebuild", package, "--ignore-scripts=false", "--loglevel=error"]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=BUILD_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        reason = str(error.stderr or error).strip()[-400:]
        raise NotInstalled(f"{package} needs a reachable download or a C++ compiler: {reason}") from error
