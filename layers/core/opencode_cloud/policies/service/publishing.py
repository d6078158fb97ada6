"""Publish versions of a workspace's policy and configuration document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opencode_cloud.contracts.access import workspace_not_found
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.names import clean_text
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.etags import check_version
from opencode_cloud.kit.json_documents import Difference, DocumentFault, differences
from opencode_cloud.policies import compilation, validation
from opencode_cloud.policies.models import (
    DocumentRevision,
    InvalidDocument,
    OwnerRequired,
    Policy,
    Version,
    Versioned,
    version_not_found,
)
from opencode_cloud.policies.programs import Program, changed_programs, programs_of

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.kit.sql import Connection
    from opencode_cloud.outbox.service import Outbox
    from opencode_cloud.policies.store import DocumentStore

_TOPICS = {Versioned.POLICY: Topic.POLICY, Versioned.CONFIGURATION: Topic.CONFIGURATION}
AUDITED_DIFFERENCES = 50
Document = dict[str, Any]


class Publisher:
    """Reads and publishes versions. The caller must have checked the actor's permission."""

    def __init__(self, store: DocumentStore, outbox: Outbox, audit: AuditTrail) -> None:
        self._store = store
        self._outbox = outbox
        self._audit = audit

    def current(self, kind: Versioned, workspace_id: WorkspaceId) -> DocumentRevision:
        """Return the current version; before the first one, version 0, which is empty."""
        with self._store.transaction() as connection:
            return self._current(connection, kind, workspace_id)

    def revision(self, kind: Versioned, workspace_id: WorkspaceId, version: int) -> DocumentRevision:
        """Return one version. Raises ``version_not_found`` (404)."""
        with self._store.transaction() as connection:
            return self._revision(connection, kind, workspace_id, version)

    def versions(self, kind: Versioned, workspace_id: WorkspaceId, before: int | None, limit: int) -> Sequence[Version]:
        """Return versions older than ``before`` without their contents, the latest first."""
        with self._store.transaction() as connection:
            return self._store.versions(connection, kind, workspace_id, before, limit)

    def differences(self, kind: Versioned, workspace_id: WorkspaceId, first: int, second: int) -> list[Difference]:
        """Return the differences of version ``second`` from ``first``. Raises ``version_not_found`` (404)."""
        with self._store.transaction() as connection:
            before = self._revision(connection, kind, workspace_id, first)
            after = self._revision(connection, kind, workspace_id, second)
        return differences(before.document, after.document)

    def preview(
        self, workspace_id: WorkspaceId, document: Document, *, here: str = ""
    ) -> tuple[Document, list[Program]]:
        """Return the configuration that clients would get from a document, and the document's programs.

        ``here`` is this deployment's address. Raises :class:`InvalidDocument` (422).
        """
        with self._store.transaction() as connection:
            compiled = self._compile(connection, Versioned.CONFIGURATION, workspace_id, document, here)
        return compiled, programs_of(document)

    def compiled(self, workspace_id: WorkspaceId) -> Document:
        """Return the clients' configuration."""
        with self._store.transaction() as connection:
            policy = self._current(connection, Versioned.POLICY, workspace_id).document
            document = self._current(connection, Versioned.CONFIGURATION, workspace_id).document
        return compilation.client_config(Policy.model_validate(policy), document, workspace_id)

    def publish(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        kind: Versioned,
        document: Document,
        read: int,
        comment: str = "",
        *,
        here: str = "",
    ) -> DocumentRevision:
        """Publish ``document`` as the next version after ``read``, the version that the caller has seen.

        ``here`` is this deployment's address. A document without changes publishes nothing. Raises
        :class:`InvalidDocument` (422), ``stale_version`` (412), or :class:`OwnerRequired` (403) when it changes
        programs that the actor may not publish.
        """
        return self._publish(actor, workspace_id, kind, document, read, comment, f"{kind}.published", {}, here)

    def restore(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        kind: Versioned,
        version: int,
        read: int,
        comment: str = "",
        *,
        here: str = "",
    ) -> DocumentRevision:
        """Publish an older version again, like :meth:`publish`. Also raises ``version_not_found`` (404)."""
        older = self.revision(kind, workspace_id, version)
        return self._publish(
            actor,
            workspace_id,
            kind,
            older.document,
            read,
            comment or f"Back to version {version}",
            f"{kind}.restored",
            {"restored": version},
            here,
        )

    def _publish(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        kind: Versioned,
        document: Document,
        read: int,
        comment: str,
        action: str,
        audited: Document,
        here: str,
    ) -> DocumentRevision:
        comment = clean_text(comment)
        with self._outbox.unit() as unit:
            # Policy and document are validated together, so publications of a workspace must not run concurrently.
            if not self._store.lock(unit.connection, workspace_id):
                raise workspace_not_found()
            before = self._current(unit.connection, kind, workspace_id)
            check_version(read, before.version)
            if kind is Versioned.CONFIGURATION:
                _require_owner_for_programs(actor, before.document, document)
            self._compile(unit.connection, kind, workspace_id, document, here)
            changes = differences(before.document, document)
            if before.version and not changes:
                return before
            after = DocumentRevision(
                version=before.version + 1,
                comment=comment,
                created_by=actor.name,
                created_at=utc_now(),
                document=document,
            )
            self._store.add(unit.connection, kind, workspace_id, after)
            self._audit.record(
                unit.connection,
                actor,
                action,
                Target(kind, workspace_id, f"version {after.version}"),
                workspace_id=workspace_id,
                before={"version": before.version},
                after={"version": after.version, "comment": comment, "changes": _audited(changes), **audited},
            )
            unit.emit(_TOPICS[kind], workspace_id)
        return after

    def _compile(
        self, connection: Connection, kind: Versioned, workspace_id: WorkspaceId, document: Document, here: str
    ) -> Document:
        """Return the configuration that clients would get, after validating that they accept it."""
        if kind is Versioned.POLICY:
            policy, text = document, self._current(connection, Versioned.CONFIGURATION, workspace_id).document
        else:
            policy, text = self._current(connection, Versioned.POLICY, workspace_id).document, document
            if faults := validation.faults_of(text, here):
                raise InvalidDocument(faults)
        checked = Policy.model_validate(policy)
        config = compilation.client_config(checked, text, workspace_id)
        # Each may be valid alone, but a client does not start if the compiled configuration is invalid.
        if faults := validation.form_faults(config):
            named = [
                DocumentFault(path=fault.path, message=f"with the policy laid over it, {fault.message}")
                for fault in faults
            ]
            raise InvalidDocument(named)
        compiled = compilation.configuration(checked, text, workspace_id)
        if compiled and len(bytes(compiled.config)) + len(bytes(compiled.providers)) > validation.MAX_COMPILED_BYTES:
            raise InvalidDocument(
                [DocumentFault(path="", message="policy and configuration document are too long together")]
            )
        return config

    def _current(self, connection: Connection, kind: Versioned, workspace_id: WorkspaceId) -> DocumentRevision:
        revision = self._store.latest(connection, kind, workspace_id)
        return revision or DocumentRevision(version=0, document=_empty(kind))

    def _revision(
        self, connection: Connection, kind: Versioned, workspace_id: WorkspaceId, version: int
    ) -> DocumentRevision:
        if version == 0:
            return DocumentRevision(version=0, document=_empty(kind))
        revision = self._store.get(connection, kind, workspace_id, version)
        if revision is None:
            raise version_not_found(kind)
        return revision


def _require_owner_for_programs(actor: Actor, before: Document, after: Document) -> None:
    if not actor.may(Permission.CONFIGURATION_PROGRAMS) and (changed := changed_programs(before, after)):
        raise OwnerRequired([program.path for program in changed])


def _empty(kind: Versioned) -> Document:
    return Policy().model_dump(mode="json") if kind is Versioned.POLICY else {}


def _audited(changes: Sequence[Difference]) -> list[Document]:
    noted = [change.model_dump(exclude_unset=True) for change in changes[:AUDITED_DIFFERENCES]]
    if len(changes) > AUDITED_DIFFERENCES:
        noted.append({"path": "", "after": f"and {len(changes) - AUDITED_DIFFERENCES} more"})
    return noted
