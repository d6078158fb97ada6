"""Qwen Code: a model of the kind ``openai``, its key in the member ``env`` (qwenlm.github.io, "Model Providers")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opencode_cloud_connect.agents.agent import KEY_VARIABLE, Agent, Places, Settings
from opencode_cloud_connect.files import Change, Edit
from opencode_cloud_connect.formats.values import as_list, as_object


def _changes(settings: Settings, places: Places) -> tuple[Change, ...]:
    # It sends no images to a model that it does not know, and compacts by a guess.
    known: dict[str, Any] = {"contextWindowSize": settings.context} if settings.context else {}
    known |= {"modalities": {"image": True}} if settings.reads_images else {}
    ours = {
        **({"generationConfig": known} if known else {}),
        "id": settings.model,
        "name": f"{settings.model} (Opencode Cloud)",
        "baseUrl": settings.base_v1,
        "envKey": KEY_VARIABLE,
    }

    def first(before: Any) -> list[Any]:
        """Put our model before the others, because the first one with a name wins."""
        return [ours, *(each for each in as_list(before) if as_object(each).get("baseUrl") != settings.base_v1)]

    edits = (
        Edit(("env", KEY_VARIABLE), settings.key),
        Edit(("modelProviders", "openai"), merge=first),
        Edit(("security", "auth", "selectedType"), "openai"),
        Edit(("model", "name"), settings.model),
    )
    return (Change(places.folder("QWEN_HOME", ".qwen") / "settings.json", "json", edits),)


def _exports(settings: Settings) -> Mapping[str, str]:
    return {"OPENAI_API_KEY": KEY_VARIABLE, "OPENAI_BASE_URL": settings.base_v1, "OPENAI_MODEL": settings.model}


QWEN = Agent(
    name="qwen",
    title="Qwen Code",
    family="qwen",
    changes=_changes,
    start=lambda _: "qwen --auth-type openai",
    exports=_exports,
    conflicts=(KEY_VARIABLE,),
)
