"""Cline: its provider "OpenAI Compatible" in ``providers.json`` (docs.cline.bot/getting-started/config)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from opencode_cloud_connect.agents.agent import KEY_VARIABLE, Agent, Places, Settings
from opencode_cloud_connect.files import Change, Edit

COMPATIBLE = "openai-compatible"


def _changes(settings: Settings, places: Places) -> tuple[Change, ...]:
    told = {
        "provider": COMPATIBLE,
        "apiKey": settings.key,
        "baseUrl": settings.base_v1,
        "model": settings.model,
    }
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = {"settings": told, "updatedAt": now, "tokenSource": "manual"}
    edits = (
        Edit(("version",), 1),
        Edit(("lastUsedProvider",), COMPATIBLE),
        Edit(("providers", COMPATIBLE), entry),
    )
    data = places.folder("CLINE_DATA_DIR") if places.environment.get("CLINE_DATA_DIR") else None
    folder = data or places.folder("CLINE_DIR", ".cline") / "data"
    return (Change(folder / "settings" / "providers.json", "json", edits),)


def _exports(_: Settings) -> Mapping[str, str]:
    return {KEY_VARIABLE: KEY_VARIABLE}


CLINE = Agent(
    name="cline",
    title="Cline",
    family="claude",
    changes=_changes,
    start=lambda _: "cline",
    exports=_exports,
    options=lambda settings: (
        f'cline auth -p {COMPATIBLE} -k "${KEY_VARIABLE}" -b {settings.base_v1} -m {settings.model} && cline'
    ),
)
