"""Write functions/settings.json, from which infra builds each function's environment: `make settings`."""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from opencode_cloud.kit.settings import variables

DOCUMENT = Path("functions") / "settings.json"
COMPOSITION = "opencode_cloud.composition"


def build(root: Path) -> dict[str, Any]:
    """Return the environment variables of each function of the checkout `root`, by function and variable."""
    names = sorted(handler.parent.name for handler in (root / "functions").glob("*/handler.py"))
    return {name: _declared(name) for name in names}


def write(root: Path) -> None:
    """Write the document of the checkout `root`."""
    (root / DOCUMENT).write_text(text(build(root)))


def text(document: Mapping[str, Any]) -> str:
    """Return the committed document."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _declared(function: str) -> dict[str, Any]:
    kind = getattr(import_module(f"{COMPOSITION}.{function}"), f"{function.capitalize()}Settings")
    declared = sorted(variables(kind).values(), key=lambda variable: variable.name)
    return {each.name: {"required": each.required, "meaning": each.meaning} for each in declared}
