"""aider: ``.aider.conf.yml`` in the home folder (aider.chat/docs/config/aider_conf.html)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from opencode_cloud_connect.agents.agent import KEY_VARIABLE, Agent, Places, Settings
from opencode_cloud_connect.files import Change, Edit


def _changes(settings: Settings, places: Places) -> tuple[Change, ...]:
    lines = {
        # "openai/" names the library's client, not the vendor.
        "model": f"openai/{settings.model}",
        "weak-model": f"openai/{settings.small_model}",
        "openai-api-base": settings.base_v1,
        "openai-api-key": settings.key,
    }
    # A text in double quotes of YAML has the escapes of JSON.
    edits = tuple(Edit((name,), json.dumps(value)) for name, value in lines.items())
    return (Change(places.home / ".aider.conf.yml", "yaml", edits),)


def _exports(settings: Settings) -> Mapping[str, str]:
    return {
        "AIDER_OPENAI_API_KEY": KEY_VARIABLE,
        "AIDER_OPENAI_API_BASE": settings.base_v1,
        "AIDER_MODEL": f"openai/{settings.model}",
        "AIDER_WEAK_MODEL": f"openai/{settings.small_model}",
    }


AIDER = Agent(
    name="aider",
    title="aider",
    family="claude",
    changes=_changes,
    start=lambda _: "aider",
    exports=_exports,
    conflicts=("AIDER_OPENAI_API_KEY", "AIDER_OPENAI_API_BASE", "AIDER_MODEL"),
)
