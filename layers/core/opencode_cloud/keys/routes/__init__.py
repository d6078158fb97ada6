"""Routes of keys and provider credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.http.gate import Gate
from opencode_cloud.keys.routes.credentials import CredentialRoutes
from opencode_cloud.keys.routes.keys import KeyRoutes

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access
    from opencode_cloud.keys.service import Credentials, Keys

__all__ = ["KeysRoutes"]


class KeysRoutes:
    """All routes of keys and provider credentials."""

    def __init__(self, keys: Keys, credentials: Credentials, access: Access) -> None:
        self._keys = keys
        self._credentials = credentials
        self._access = access

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        gate = Gate(app, self._access)
        KeyRoutes(self._keys, gate).mount()
        CredentialRoutes(self._credentials, gate).mount()
