"""Builds the common parts of the sync plane's functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.sharing.store import ObjectStore, ShareStore

if TYPE_CHECKING:
    from opencode_cloud.composition.settings import SharesSettings


class ShareStores(msgspec.Struct, frozen=True):
    """The stores of shares: their rows and their large objects."""

    shares: ShareStore
    objects: ObjectStore

    @classmethod
    def over(cls, settings: SharesSettings) -> ShareStores:
        """Return the stores over the deployed table and bucket."""
        objects = ObjectStore(settings.shares_bucket)
        return cls(ShareStore(settings.shares_table, objects), objects)
