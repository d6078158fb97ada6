"""Compile the Python code of layers.

Lambda mounts layers read-only. Without bytecode, each new execution environment compiles all that it imports, which
takes longer than the start itself (docs/decisions/057).
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from infra.stage import Stage

PLACE = "/opt"
"""The folder in which Lambda mounts layers. Tracebacks show it."""


class BytecodeError(Exception):
    """A layer could not be compiled; the message says why."""


def compiler(stage: Stage) -> str | None:
    """Return the interpreter that compiles for a stage; None: it has no bytecode.

    The emulator keeps bytecode itself. Bytecode of another version of Python would be ignored, so a machine without
    that version packages sources alone, and says so.
    """
    if stage.local:
        return None
    found = interpreter(stage.python)
    if found is None:
        _say_missing(stage.python)
    return found


@cache
def interpreter(version: str) -> str | None:
    """Return the path of a Python of `version` (such as 3.13) on this machine; None: there is none."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    candidates = [shutil.which(f"python{version}"), _managed(version)]
    return next((path for path in candidates if path and _is(path, version)), None)


def compile_code(folder: Path, python: str, version: str) -> None:
    """Compile the code below `folder`, which becomes `/opt`, by an interpreter of `version`.

    The bytecode is used without a look at its source, whose time a package does not keep.
    """
    command = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", PLACE, str(folder)]
    done = subprocess.run(command, env=_environment(version), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BytecodeError(f"a layer could not be compiled:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


@cache
def _say_missing(version: str) -> None:
    sys.stderr.write(
        f"Python {version} is missing here, so layers hold no bytecode and functions start slowly. "
        f"Install it: uv python install {version}\n"
    )


def _is(path: str, version: str) -> bool:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    command = [path, "-c", program]
    done = subprocess.run(command, env=_environment(version), capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


def _managed(version: str) -> str | None:
    """Return the path of a Python that uv has installed."""
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv) if uv.exists() else "uv", "python", "find", "--no-project", "--no-python-downloads", version]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def _environment(version: str) -> dict[str, str]:
    # pyenv's programs start the version that the variable names.
    return {**os.environ, "PYENV_VERSION": version}
