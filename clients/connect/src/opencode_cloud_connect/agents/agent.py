"""The description of an agent: its files and variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opencode_cloud_connect.files import Change
from opencode_cloud_connect.formats.values import as_list, as_object
from opencode_cloud_connect.workspaces import Models

KEY_VARIABLE = "OPENCODE_CLOUD_KEY"
"""The variable with the key, for agents that let a configuration name one."""


@dataclass(frozen=True)
class Places:
    """The home folder and the variables by which people move an agent's files."""

    home: Path
    environment: Mapping[str, str]

    def folder(self, variable: str, *default: str) -> Path:
        """Return the folder that ``variable`` names, else the folder ``default`` below the home folder."""
        named = self.environment.get(variable)
        return Path(named).expanduser().absolute() if named else self.home.joinpath(*default)


@dataclass(frozen=True)
class Settings:
    """The values that an agent is configured with."""

    url: str
    """The server's address, such as ``https://cloud.example.com``."""
    key: str = field(repr=False)
    key_file: Path
    """A private file with the key and nothing else."""
    model: str
    small_model: str
    models: Models

    @property
    def context(self) -> int:
        """The model's context in tokens, from the server; 0 if it is unknown. Agents compact before it is full."""
        context = as_object(self._listing.get("limit")).get("context")
        return context if isinstance(context, int) else 0

    @property
    def reads_images(self) -> bool:
        """True if the server says that the model reads images."""
        return "image" in as_list(as_object(self._listing.get("modalities")).get("input"))

    @property
    def _listing(self) -> dict[str, Any]:
        return as_object(as_object(self.models.provider.get("models")).get(self.model))

    @property
    def base(self) -> str:
        """The base address of Anthropic's and Google's clients."""
        return f"{self.url}/zen"

    @property
    def base_v1(self) -> str:
        """The base address of OpenAI's clients."""
        return f"{self.url}/zen/v1"


@dataclass(frozen=True)
class Agent:
    """One agent: its files, and the same settings as variables."""

    name: str
    title: str
    family: str
    """The beginning of the ids of its vendor's models. Such a model is preferred where the person names none."""
    changes: Callable[[Settings, Places], tuple[Change, ...]]
    start: Callable[[Settings], str]
    """The command that starts the agent with its files."""
    exports: Callable[[Settings], Mapping[str, str]] | None = None
    """Variables for a shell, None for agents that read none. The value ``KEY_VARIABLE`` stands for the key."""
    options: Callable[[Settings], str] | None = None
    """The command that starts the agent with these variables, where ``start`` does not suffice."""
    conflicts: tuple[str, ...] = ()
    """Variables that win over the files where they are set."""
