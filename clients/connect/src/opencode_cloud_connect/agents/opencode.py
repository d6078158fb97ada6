"""opencode with a key: a provider in its user configuration (opencode.ai/docs/config).

The configuration names the file with the key, so the key itself is not in it. People who log in with
``opencode console login`` need no such file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opencode_cloud_connect.agents.agent import KEY_VARIABLE, Agent, Places, Settings
from opencode_cloud_connect.files import Change, Edit
from opencode_cloud_connect.workspaces import PROVIDER

LIBRARY = "@ai-sdk/openai-compatible"


def _file(places: Places) -> Path:
    """Return the configuration that exists, else the usual one. opencode merges all of them, the last wins."""
    folder = places.folder("XDG_CONFIG_HOME", ".config") / "opencode"
    names = ("opencode.jsonc", "opencode.json")
    return next((folder / name for name in names if (folder / name).exists()), folder / "opencode.json")


def _provider(settings: Settings, key: str) -> dict[str, Any]:
    """Return the server's own entry, which names the library of each model, with the key in place of a login."""
    known = settings.models.provider
    models = known.get("models") or {model: {"name": model, "tool_call": True} for model in settings.models.ids}
    return {
        "npm": known.get("npm", LIBRARY),
        "name": known.get("name", "Opencode Cloud"),
        "options": {"baseURL": settings.base_v1, "apiKey": key},
        "models": models,
    }


def _changes(settings: Settings, places: Places) -> tuple[Change, ...]:
    edits = (
        Edit(("provider", PROVIDER), _provider(settings, f"{{file:{settings.key_file.as_posix()}}}")),
        Edit(("model",), f"{PROVIDER}/{settings.model}"),
        Edit(("small_model",), f"{PROVIDER}/{settings.small_model}"),
    )
    return (Change(_file(places), "json", edits, private=False),)


def _exports(settings: Settings) -> Mapping[str, str]:
    return {"OPENCODE_API_KEY": KEY_VARIABLE, "OPENCODE_MODELS_URL": settings.url}


OPENCODE = Agent(
    name="opencode",
    title="opencode",
    family="claude",
    changes=_changes,
    start=lambda _: "opencode",
    exports=_exports,
    conflicts=("OPENCODE_CONFIG",),
)
