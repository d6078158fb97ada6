"""Declarations of console pages. The menu, the title and the permission check use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from opencode_cloud.contracts.permissions import Permission


class ConsolePage(msgspec.Struct, frozen=True):
    """A page in the menu of a workspace."""

    path: str
    """The path below the path of the workspace."""
    label: str
    """The name in the menu and in the title."""
    permission: Permission
    """The permission that a role needs to see the page and its menu entry."""
    template: str
    """A file in ``web/templates/administration``."""
    group: str = ""
    """The heading in the menu that the page is listed under; empty for none."""
