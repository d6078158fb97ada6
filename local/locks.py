"""Write the hash-locked requirement lists from their `.in` files (`make lock`)."""

import os
import subprocess
from pathlib import Path

LOCKS = {
    "layers/dependencies/core": "",
    "layers/dependencies/console": "layers/dependencies/core.txt",
    "layers/dependencies/analytics": "layers/dependencies/core.txt layers/dependencies/console.txt",
    "layers/dependencies/documents": "layers/dependencies/core.txt layers/dependencies/console.txt",
    "layers/dependencies/payments": (
        "layers/dependencies/core.txt layers/dependencies/console.txt layers/dependencies/documents.txt"
    ),
    "layers/dependencies/gateway": "layers/dependencies/core.txt",
    "layers/dependencies/container": "layers/dependencies/core.txt layers/dependencies/gateway.txt",
    "layers/dependencies/hub": "layers/dependencies/core.txt layers/dependencies/gateway.txt",
    "requirements/dev": " ".join(
        f"layers/dependencies/{name}.txt"
        for name in ("core", "console", "analytics", "documents", "payments", "gateway", "container", "hub")
    ),
    "requirements/aider": "",
    "requirements/litellm": "",
    "requirements/llm": "",
    "requirements/ministack": "",
    "requirements/openapi-client": "",
    "requirements/setup": "",
}
"""Lists, each with the lists that constrain it, so that development uses the deployed versions."""


def write_locks(root: Path) -> None:
    """Resolve every list again, for all platforms. No file contains a registry's address."""
    command = [str(root / ".venv/bin/uv"), "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--no-emit-index-url", "--python-version", "3.11", "--custom-compile-command", "make lock", "--upgrade"]
    for name, constraint in LOCKS.items():
        constraints = [word for file in constraint.split() for word in ("--constraints", file)]
        subprocess.run(
            [*command, *constraints, f"{name}.in", "--output-file", f"{name}.txt"],
            cwd=root,
            env={"UV_SYSTEM_CERTS": "true", **os.environ},
            check=True,
        )
