"""Claude Code: the member ``env`` of its user settings (code.claude.com/docs/en/settings)."""

from __future__ import annotations

from collections.abc import Mapping

from opencode_cloud_connect.agents.agent import KEY_VARIABLE, Agent, Places, Settings
from opencode_cloud_connect.files import Change, Edit


def _tier(settings: Settings, name: str, otherwise: str) -> str:
    """Return the workspace's newest model of a tier of Anthropic's, else ``otherwise``."""
    found = sorted(each for each in settings.models.ids if each.startswith("claude") and name in each)
    return found[-1] if found else otherwise


def _variables(settings: Settings, key: str) -> dict[str, str]:
    # It takes a model that it does not know for one of a million tokens, and would compact too late.
    known = settings.model.startswith("claude")
    window = {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(settings.context)} if settings.context and not known else {}
    return {
        **window,
        "ANTHROPIC_BASE_URL": settings.base,
        "ANTHROPIC_AUTH_TOKEN": key,
        "ANTHROPIC_MODEL": settings.model,
        # Sub-agents and titles name a tier in place of a model.
        "ANTHROPIC_DEFAULT_OPUS_MODEL": _tier(settings, "opus", settings.model),
        "ANTHROPIC_DEFAULT_SONNET_MODEL": _tier(settings, "sonnet", settings.model),
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": _tier(settings, "haiku", settings.small_model),
    }


def _changes(settings: Settings, places: Places) -> tuple[Change, ...]:
    file = places.folder("CLAUDE_CONFIG_DIR", ".claude") / "settings.json"
    variables = _variables(settings, settings.key)
    return (Change(file, "json", tuple(Edit(("env", name), value) for name, value in variables.items())),)


def _exports(settings: Settings) -> Mapping[str, str]:
    return _variables(settings, KEY_VARIABLE)


CLAUDE_CODE = Agent(
    name="claude-code",
    title="Claude Code",
    family="claude",
    changes=_changes,
    start=lambda _: "claude",
    exports=_exports,
    conflicts=("ANTHROPIC_API_KEY",),
)
