"""Publish versions of the catalogue. They are validated as a whole, kept forever, and in force within seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opencode_cloud.catalogue import listing, packing, validation
from opencode_cloud.catalogue.changes import changes
from opencode_cloud.catalogue.document import CatalogueDocument, form_of, load, moment, with_dates, written_price
from opencode_cloud.catalogue.models import (
    Catalogue,
    CatalogueFault,
    CatalogueRevision,
    InvalidCatalogue,
    Price,
    catalogue_version_not_found,
)
from opencode_cloud.catalogue.service.starting import starting_text
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.kit.etags import check_version

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.catalogue.store.current import CatalogueStore
    from opencode_cloud.catalogue.store.versions import VersionStore
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.kit import json_documents
    from opencode_cloud.kit.sql import Connection
    from opencode_cloud.outbox.service import Outbox

SUBJECT = "catalogue"
"""The subject of outbox messages. A deployment has one catalogue."""
AUDITED_CHANGES = 50
LISTED = 100
_GATEWAY = "https://gateway.example/zen/v1"
"""A placeholder for the gateway's address in checks of the form."""

Written = dict[str, Any]
ConfigurationCheck = Callable[[Mapping[str, Any]], "Sequence[json_documents.DocumentFault]"]
"""Returns the places at which a client's configuration does not have the form that clients accept."""


class CataloguePublisher:
    """Reads, validates and publishes documents. The caller must have checked the actor's permission."""

    def __init__(
        self, versions: VersionStore, outbox: Outbox, audit: AuditTrail, check_configuration: ConfigurationCheck
    ) -> None:
        self._check_configuration = check_configuration
        self._versions = versions
        self._outbox = outbox
        self._audit = audit

    def current(self) -> CatalogueRevision:
        """Return the current version; before the first one, version 0 with the starting catalogue."""
        with self._versions.transaction() as connection:
            return self._current(connection)

    def versions(self) -> Sequence[CatalogueRevision]:
        """Return the latest versions, without their documents."""
        with self._versions.transaction() as connection:
            return self._versions.versions(connection, LISTED)

    def revision(self, number: int) -> CatalogueRevision:
        """Return one version. Raises ``catalogue_version_not_found`` (404)."""
        with self._versions.transaction() as connection:
            return self._revision(connection, number)

    def check(self, text: str) -> tuple[int, list[str]]:
        """Return the number of the current version, and the changes that a document would make.

        Raises :class:`InvalidCatalogue` (422) with all faults of the document.
        """
        now = now_seconds()
        with self._versions.transaction() as connection:
            before = self._current(connection)
            written, _ = self._checked(connection, text, now, before.number + 1)
        return before.number, changes(load(before.document), written)

    def publish(self, actor: Actor, text: str, read: int, comment: str = "") -> tuple[CatalogueRevision, list[str]]:
        """Publish a document as the next version after ``read``, the version that the caller has seen.

        A document without changes publishes nothing. Returns the version and its changes. Raises
        :class:`InvalidCatalogue` (422) or ``stale_version`` (412).
        """
        return self._publish(actor, text, read, comment, "catalogue.published")

    def restore(self, actor: Actor, number: int) -> tuple[CatalogueRevision, list[str]]:
        """Publish an older version again, with all prices that have begun since, because calls were charged by them.

        Raises ``catalogue_version_not_found`` (404), and the errors of :meth:`publish`.
        """
        until = now_seconds() + validation.SETTLED_SECONDS
        with self._versions.transaction() as connection:
            before, older = self._current(connection), self._revision(connection, number)
            begun = self._versions.begun(connection, until)
        text = json.dumps(_with_begun(load(older.document), begun, until))
        return self._publish(actor, text, before.number, f"Back to version {number}", "catalogue.restored")

    def project(self, current: CatalogueStore, *, over: bool = False) -> int:
        """Put the current version in force for the planes without SQL; return its number, 0 for none.

        ``over``: also replace a later version, which a database restored from a backup does not have.
        """
        latest = self.current()
        if latest.number:
            current.put(form_of(load(latest.document)).catalogue(latest.number), over=over)
        return latest.number

    def _publish(
        self, actor: Actor, text: str, read: int, comment: str, action: str
    ) -> tuple[CatalogueRevision, list[str]]:
        with self._outbox.unit() as unit:
            before, now = self._current(unit.connection), now_seconds()
            check_version(read, before.number)
            written, catalogue = self._checked(unit.connection, text, now, before.number + 1)
            differences = changes(load(before.document), written)
            if before.number and not differences:
                return before, []
            after = CatalogueRevision(
                number=catalogue.version,
                document=json.dumps(written, indent=2, ensure_ascii=False),
                comment=comment,
                created_by=actor.name,
                created_at=utc_now(),
            )
            if not self._versions.add(unit.connection, after):
                # A concurrent publication took the number.
                check_version(read, after.number)
            self._versions.note_prices(unit.connection, catalogue, now + validation.SETTLED_SECONDS)
            self._audit.record(
                unit.connection,
                actor,
                action,
                Target(SUBJECT, SUBJECT, f"version {after.number}"),
                before={"version": before.number},
                after={"version": after.number, "comment": comment, "changes": differences[:AUDITED_CHANGES]},
            )
            unit.emit(Topic.CATALOGUE, SUBJECT)
        return after, differences

    def _checked(self, connection: Connection, text: str, now: int, number: int) -> tuple[Written, Catalogue]:
        """Validate a document; return it with its dates filled in, and in the gateway's form."""
        written = with_dates(load(text), now)
        document = form_of(written)
        begun = self._versions.begun(connection, now + validation.SETTLED_SECONDS)
        faults = validation.faults_of(document, now, begun) or self._size_and_form(document, now)
        if faults:
            raise InvalidCatalogue(faults)
        return written, document.catalogue(number)

    def _size_and_form(self, document: CatalogueDocument, now: int) -> list[CatalogueFault]:
        """Return faults that would prevent storing the catalogue, or prevent clients from starting."""
        catalogue = document.catalogue(0)
        size = len(packing.pack(catalogue))
        if size > packing.MAX_BYTES:
            return [CatalogueFault("", f"it has {size} bytes when compressed, and may have {packing.MAX_BYTES}")]
        config = {"provider": {catalogue.provider: listing.configured(catalogue, listing.allow_all, _GATEWAY, now)}}
        return [
            CatalogueFault(
                fault.path.removeprefix(f"/provider/{catalogue.provider}"), f"clients would not start: {fault.message}"
            )
            for fault in self._check_configuration(config)
        ]

    def _current(self, connection: Connection) -> CatalogueRevision:
        return self._versions.latest(connection) or _starting()

    def _revision(self, connection: Connection, number: int) -> CatalogueRevision:
        revision = self._versions.get(connection, number) if number else _starting()
        if revision is None:
            raise catalogue_version_not_found()
        return revision


def _starting() -> CatalogueRevision:
    return CatalogueRevision(number=0, document=starting_text(), comment="The catalogue that a deployment begins with")


def _with_begun(written: Written, begun: dict[str, list[Price]], until: int) -> Written:
    """Return a document in which each model has all prices that have begun, and only the future ones of its own."""
    for name, model in written.get("models", {}).items():
        if past := begun.get(name):
            later = [price for price in model["prices"] if moment(price["from"]) > until]
            model["prices"] = [*(written_price(price) for price in past), *later]
    return written
