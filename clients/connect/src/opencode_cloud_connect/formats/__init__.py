"""Formats of configuration files. Each edits text, so that comments, order and spacing of all else stay.

Every format reads a value by its path, puts one, and drops one. The functions take and return whole texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from opencode_cloud_connect.formats.blocks import BLOCKS
from opencode_cloud_connect.formats.jsonc import JSONC
from opencode_cloud_connect.formats.lines import DOTENV, YAML
from opencode_cloud_connect.formats.toml import TOML
from opencode_cloud_connect.formats.values import ABSENT

__all__ = ["ABSENT", "FORMATS", "Format"]


class Format(Protocol):
    """How a kind of file is read and changed. All methods raise :class:`NotEditable` for a text in another form."""

    def read(self, text: str, path: Sequence[str]) -> Any:
        """Return the value at ``path``, or ``ABSENT``."""
        ...

    def put(self, text: str, path: Sequence[str], value: Any) -> str:
        """Return ``text`` with ``value`` at ``path``."""
        ...

    def drop(self, text: str, path: Sequence[str]) -> str:
        """Return ``text`` without the member at ``path``. A member that is not there is no error."""
        ...


FORMATS: Final[dict[str, Format]] = {"json": JSONC, "toml": TOML, "env": DOTENV, "yaml": YAML, "block": BLOCKS}
"""The formats by the names under which connections are recorded."""
