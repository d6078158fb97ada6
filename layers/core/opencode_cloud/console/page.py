"""Pages of the console, as their modules declare them: the menu, the title and the check of rights follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opencode_cloud.contracts.permissions import Permission


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """A page in the menu of a workspace."""

    path: str
    """Its address below that of the workspace."""
    label: str
    """Its name in the menu and in the title."""
    permission: Permission
    """A role needs it to see the page and its entry in the menu."""
    template: str
    """A file in ``web/templates/administration``."""
