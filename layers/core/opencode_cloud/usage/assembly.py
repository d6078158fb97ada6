"""Puts the services of usage together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opencode_cloud.usage.service import Ingest, Reading
from opencode_cloud.usage.store.events import EventArchive
from opencode_cloud.usage.store.figures import Figures
from opencode_cloud.usage.store.ledger import Ledger

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Database


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that is done with usage."""

    ingest: Ingest
    reading: Reading

    @classmethod
    def over(cls, database: Database) -> Books:
        """Put the services together over a database."""
        return cls(ingest=Ingest(Ledger(database)), reading=Reading(Figures(database), EventArchive(database)))
