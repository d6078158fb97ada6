"""Gemini CLI: ``settings.json`` and ``.env`` of its folder (geminicli.com/docs/reference/configuration)."""

from __future__ import annotations

from collections.abc import Mapping

from opencode_cloud_connect.agents.agent import KEY_VARIABLE, Agent, Places, Settings
from opencode_cloud_connect.files import Change, Edit


def _changes(settings: Settings, places: Places) -> tuple[Change, ...]:
    folder = places.folder("GEMINI_CLI_HOME") / ".gemini"
    chosen = (Edit(("security", "auth", "selectedType"), "gemini-api-key"), Edit(("model", "name"), settings.model))
    variables = (Edit(("GEMINI_API_KEY",), settings.key), Edit(("GOOGLE_GEMINI_BASE_URL",), settings.base))
    return (
        Change(folder / "settings.json", "json", chosen, private=False),
        Change(folder / ".env", "env", variables),
    )


def _exports(settings: Settings) -> Mapping[str, str]:
    return {
        "GEMINI_API_KEY": KEY_VARIABLE,
        "GOOGLE_GEMINI_BASE_URL": settings.base,
        "GEMINI_MODEL": settings.model,
    }


GEMINI = Agent(
    name="gemini",
    title="Gemini CLI",
    family="gemini",
    changes=_changes,
    start=lambda _: "gemini",
    exports=_exports,
    conflicts=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GEMINI_MODEL"),
)
