"""Codex: a provider in ``config.toml``, and its key in ``.env`` beside it (developers.openai.com/codex).

Codex reads keys of other providers from variables only, and loads ``.env`` of its folder at each start.
"""

from __future__ import annotations

from collections.abc import Mapping

from opencode_cloud_connect.agents.agent import KEY_VARIABLE, Agent, Places, Settings
from opencode_cloud_connect.files import Change, Edit
from opencode_cloud_connect.workspaces import PROVIDER


def _changes(settings: Settings, places: Places) -> tuple[Change, ...]:
    folder = places.folder("CODEX_HOME", ".codex")
    provider = {
        "name": "Opencode Cloud",
        "base_url": settings.base_v1,
        "env_key": KEY_VARIABLE,
        "wire_api": "responses",
    }
    # It knows the contexts of OpenAI's models, and takes others for larger than most are.
    unknown = settings.context and not settings.model.startswith("gpt")
    edits = (
        Edit(("model",), settings.model),
        *((Edit(("model_context_window",), settings.context),) if unknown else ()),
        Edit(("model_provider",), PROVIDER),
        Edit(("model_providers", PROVIDER), provider),
    )
    return (
        Change(folder / "config.toml", "toml", edits, private=False),
        Change(folder / ".env", "env", (Edit((KEY_VARIABLE,), settings.key),)),
    )


def _exports(_: Settings) -> Mapping[str, str]:
    return {KEY_VARIABLE: KEY_VARIABLE}


def _options(settings: Settings) -> str:
    """Return the command with the provider as options, which Codex takes in place of its file."""
    options = {
        "model_provider": PROVIDER,
        f"model_providers.{PROVIDER}.name": PROVIDER,
        f"model_providers.{PROVIDER}.base_url": settings.base_v1,
        f"model_providers.{PROVIDER}.env_key": KEY_VARIABLE,
        f"model_providers.{PROVIDER}.wire_api": "responses",
    }
    return " ".join(["codex", *(f"-c {name}={value}" for name, value in options.items()), f"-m {settings.model}"])


CODEX = Agent(
    name="codex",
    title="Codex",
    family="gpt",
    changes=_changes,
    start=lambda _: "codex",
    exports=_exports,
    options=_options,
    conflicts=(KEY_VARIABLE,),
)
