"""llm: models in ``extra-openai-models.yaml``, and a key in ``keys.json`` (llm.datasette.io, "Other models")."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from opencode_cloud_connect.agents.agent import Agent, Places, Settings
from opencode_cloud_connect.files import Change, Edit
from opencode_cloud_connect.workspaces import PROVIDER

FOLDER = "io.datasette.llm"


def _folder(places: Places) -> Path:
    """Return the folder of llm's settings, as the library that it uses chooses it on each system."""
    if places.environment.get("LLM_USER_PATH"):
        return places.folder("LLM_USER_PATH")
    if sys.platform == "darwin":
        return places.home / "Library" / "Application Support" / FOLDER
    if os.name == "nt":
        return places.folder("APPDATA", "AppData", "Roaming") / FOLDER
    return places.folder("XDG_CONFIG_HOME", ".config") / FOLDER


def _entry(settings: Settings, model: str) -> str:
    lines = {
        "model_id": f"{PROVIDER}/{model}",
        "model_name": model,
        "api_base": settings.base_v1,
        "api_key_name": PROVIDER,
    }
    flags = ("supports_tools", "supports_schema", "vision")
    written = [f"{name}: {json.dumps(value)}" for name, value in lines.items()]
    return "- " + "\n  ".join([*written, *(f"{flag}: true" for flag in flags)]) + "\n"


def _changes(settings: Settings, places: Places) -> tuple[Change, ...]:
    folder = _folder(places)
    block = "".join(_entry(settings, model) for model in settings.models.ids)
    return (
        Change(folder / "extra-openai-models.yaml", "block", (Edit(("models",), block),), private=False),
        Change(folder / "keys.json", "json", (Edit((PROVIDER,), settings.key),)),
    )


LLM = Agent(
    name="llm",
    title="llm",
    family="gpt",
    changes=_changes,
    start=lambda settings: f"llm -m {PROVIDER}/{settings.model}",
)
