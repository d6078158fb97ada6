"""The HTTP routes of clients and operators: the current protocol and the legacy one (docs/protocol.md)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec

from opencode_cloud.access.service import Access
from opencode_cloud.contracts.access import KeyRefused
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.ids import ClientSessionId, ShareId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.requests import request_of
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import BadRequest, Forbidden, ServiceError, Unauthorized
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.parallel import pool
from opencode_cloud.sharing.models import Share, share_not_found
from opencode_cloud.sharing.protocol.capability import share_of
from opencode_cloud.sharing.protocol.items import from_legacy, parse
from opencode_cloud.sharing.routes.readers import document_reply
from opencode_cloud.sharing.routes.visitors import visitor_of
from opencode_cloud.sharing.service.deletion import ShareDeletion
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.service.publishing import Publishing
from opencode_cloud.sharing.service.reading import ShareReader, legacy_data
from opencode_cloud.sharing.store import Tasks


class _Create(msgspec.Struct):
    session_id: ClientSessionId = msgspec.field(name="sessionID")


class SyncBody(msgspec.Struct):
    """The body of a ``sync``."""

    data: list[msgspec.Raw]
    secret: str = ""


class _Delete(msgspec.Struct):
    secret: str = ""


class LegacySyncBody(msgspec.Struct):
    """The body of the legacy protocol's ``share_sync``."""

    key: str
    content: msgspec.Raw
    secret: str = ""


class _LegacyAdminDelete(msgspec.Struct):
    share: str = msgspec.field(name="sessionShortName")
    secret: str = msgspec.field(name="adminSecret")


class SharingRoutes:
    """The routes that publish and remove shares, and those of clients that read."""

    def __init__(
        self,
        publishing: Publishing,
        reading: ShareReader,
        deletion: ShareDeletion,
        owning: Owning,
        tasks: Tasks,
        access: Access,
        admin_secret: Callable[[], str],
        *,
        public_url: str,
    ) -> None:
        self._publishing = publishing
        self._reading = reading
        self._deletion = deletion
        self._owning = owning
        self._tasks = tasks
        self._access = access
        self._admin_secret = admin_secret
        self._public_url = public_url

    def mount(self, app: HttpRoutes) -> None:
        """Add every route to ``app``."""
        self._event = app.event
        for mount in (self._current, self._owned, self._legacy, self._admin):
            mount(app)

    # ------------------------------------------------------------------------------- current protocol

    def _current(self, app: HttpRoutes) -> None:
        app.post("/api/share")(self.create)
        app.post("/api/share/<share_id>/sync")(self.sync)
        app.delete("/api/share/<share_id>")(self.delete)
        app.get("/api/share/<share_id>/data")(self.data)

    def create(self) -> HttpReply:
        """``POST /api/share {sessionID}`` -> ``{id, url, secret}``."""
        return self._created(None)

    def _noting_refusals(self, work: Callable[[], HttpReply], share_id: ShareId | None = None) -> HttpReply:
        """Do ``work``; if a policy, a permission or a limit of a key refuses it, record that for the admins."""
        try:
            return work()
        except KeyRefused as refused:
            self._owning.record_refused_key(refused)
            raise
        except Forbidden as error:
            event = self._event()

            def sender() -> Actor | None:
                return self._actor_or_none(event) if http_events.bearer(event) else None

            self._owning.record_refused(error, share_id, sender, http_events.source_address(event))
            raise

    def _created(self, actor: Actor | None) -> HttpReply:
        event = self._event()
        session_id = http_events.decode_body(event, _Create).session_id
        credentials = self._publishing.create(session_id, http_events.source_address(event), actor)
        url = f"{http_events.base_url(event, self._public_url)}/share/{credentials.id}"
        return self._json({"id": credentials.id, "url": url, "secret": credentials.secret})

    def sync(self, share_id: ShareId) -> HttpReply:
        """``POST /api/share/{id}/sync {secret, data}`` -> ``{seq}``."""
        event = self._event()
        body = http_events.decode_body(event, SyncBody)
        items = parse(body.data)

        def commit() -> HttpReply:
            address = http_events.source_address(event)
            done = self._publishing.sync(share_id, body.secret, items, http_events.arrival_ms(event), address=address)
            return self._json({"seq": done.seq})

        return self._noting_refusals(commit, share_id)

    def delete(self, share_id: ShareId) -> HttpReply:
        """``DELETE /api/share/{id} {secret}`` -> ``{}``, also when the share is already gone."""
        event = self._event()
        self._unshare(share_id, _secret(event))
        return self._json({})

    def _unshare(self, share_id: ShareId, secret: str, actor: Actor | None = None) -> None:
        removed = self._deletion.unshare(share_id, secret)
        if removed is not None:
            self._owning.record_unshared(removed, actor, http_events.source_address(self._event()))

    def data(self, share_id: ShareId) -> HttpReply:
        """``GET /api/share/{id}/data`` -> the flat array of items."""
        event = self._event()
        return document_reply(event, self._reading.data(share_id, visitor_of(event, share_id)))

    # ------------------------------------------------------------------------------- with an account

    def _owned(self, app: HttpRoutes) -> None:
        """Add ``/api/shares``: the same store, for senders with a bearer token (a person's also needs ``x-org-id``)."""
        app.post("/api/shares")(self.create_owned)
        app.post("/api/shares/<share_id>/sync")(self.sync_owned)
        app.delete("/api/shares/<share_id>")(self.delete_owned)
        app.get("/api/shares/<share_id>/data")(self.data_owned)

    def _member(self, event: http_events.Event, *permissions: Permission) -> Actor:
        return self._access.member(request_of(event), WorkspaceId(http_events.header(event, "x-org-id")), *permissions)

    def create_owned(self) -> HttpReply:
        """``POST /api/shares {sessionID}`` -> ``{id, url, secret}`` of a share that belongs to the sender."""
        return self._noting_refusals(lambda: self._created(self._member(self._event(), Permission.SHARE_OWN)))

    def sync_owned(self, share_id: ShareId) -> HttpReply:
        """``POST /api/shares/{id}/sync {secret, data}`` -> ``{seq}``; the sender becomes owner of a share without one.

        The sender is authenticated in parallel with the read of the share.
        """
        event = self._event()
        actor = pool().submit(self._member, event, Permission.SHARE_OWN)
        body = http_events.decode_body(event, SyncBody)
        items = parse(body.data)

        def commit() -> HttpReply:
            done = self._publishing.sync(share_id, body.secret, items, http_events.arrival_ms(event), actor.result)
            return self._json({"seq": done.seq})

        return self._noting_refusals(commit, share_id)

    def delete_owned(self, share_id: ShareId) -> HttpReply:
        """``DELETE /api/shares/{id} {secret?}`` -> ``{}``, also when the share is already gone.

        The secret suffices. Without it, or with another, the sender must be the owner or an admin of the workspace.
        """
        event = self._event()
        secret = _secret(event)
        try:
            self._unshare(share_id, secret, self._actor_or_none(event) if secret else None)
        except (Forbidden, Unauthorized) as refused:
            _, missing = self._owning.revoke(self._member(event, Permission.SHARE_OWN), [share_id], self._deletion)
            if missing:
                raise share_not_found() from refused
        else:
            if not secret:
                self._member(event)
        return self._json({})

    def _actor_or_none(self, event: http_events.Event) -> Actor | None:
        """Return the sender of a request whose secret suffices, for the audit trail; None if it cannot be verified."""
        try:
            return self._member(event)
        except ServiceError:
            return None

    def data_owned(self, share_id: ShareId) -> HttpReply:
        """``GET /api/shares/{id}/data`` -> the flat array of items, for signed-in senders who may read the share."""
        event = self._event()
        self._member(event)
        return document_reply(event, self._reading.data(share_id, visitor_of(event, share_id)))

    # -------------------------------------------------------------------------------- legacy protocol

    # These clients name their session; the share is found by the secret (docs/protocol.md, "Legacy protocol").

    def _legacy(self, app: HttpRoutes) -> None:
        app.post("/share_create")(self.create)
        app.post("/share_sync")(self.legacy_sync)
        app.post("/share_delete")(self.legacy_delete)
        app.post("/share_delete_admin")(self.legacy_delete_admin)
        app.get("/share_data")(self.legacy_data)
        app.get("/share_poll")(self.upgrade_required)

    def legacy_sync(self) -> HttpReply:
        """``POST /share_sync {sessionID, secret, key, content}`` -> ``{}``."""
        event = self._event()
        body = http_events.decode_body(event, LegacySyncBody)
        item = from_legacy(body.key, body.content)
        address = http_events.source_address(event)
        share_id = share_of(body.secret)

        def commit() -> HttpReply:
            self._publishing.sync(share_id, body.secret, [item], http_events.arrival_ms(event), address=address)
            return self._json({})

        return self._noting_refusals(commit, share_id)

    def legacy_delete(self) -> HttpReply:
        """``POST /share_delete {sessionID, secret}`` -> ``{}``, also when the share is already gone."""
        body = http_events.decode_body(self._event(), _Delete)
        self._unshare(share_of(body.secret), body.secret)
        return self._json({})

    def legacy_delete_admin(self) -> HttpReply:
        """``POST /share_delete_admin {sessionShortName, adminSecret}`` -> ``{}``."""
        body = http_events.decode_body(self._event(), _LegacyAdminDelete)
        self._check_admin(body.secret)
        self._deletion.remove(ShareId(body.share), "removed by the operator")
        return self._json({})

    def legacy_data(self) -> HttpReply:
        """``GET /share_data?id=`` -> ``{info, messages}``."""
        event = self._event()
        share_id = http_events.query(event, "id")
        if not share_id:
            raise BadRequest("missing_id", "Name the share: /share_data?id=<share id>.")
        visitor = visitor_of(event, ShareId(share_id))
        result = self._reading.document(
            ShareId(share_id), visitor, "legacy", "application/json", lambda state: legacy_data(state.items)
        )
        return document_reply(event, result)

    def upgrade_required(self) -> HttpReply:
        """``GET /share_poll`` without an upgrade."""
        return self._json(
            {"error": "upgrade_required", "message": "Open a WebSocket at /share_poll?id=<share id>."},
            HTTPStatus.UPGRADE_REQUIRED,
        )

    # ---------------------------------------------------------------------------------- the operator

    def _admin(self, app: HttpRoutes) -> None:
        app.get("/api/admin/shares/<share_id>")(self.look_up)
        app.delete("/api/admin/shares/<share_id>")(self.remove)
        app.post("/api/admin/shares/<share_id>/rescan")(self.rescan)

    def look_up(self, share_id: ShareId) -> HttpReply:
        """``GET /api/admin/shares/{id}`` -> the metadata of a share, without its content."""
        self._check_admin(http_events.bearer(self._event()))
        share = self._deletion.look_up(share_id)
        if not isinstance(share, Share):
            return self._json({**msgspec.to_builtins(share), "state": "gone"})
        return self._json(
            {
                "share": share.id,
                "state": share.state,
                "created_at": share.created_at,
                "expires_at": share.expires_at,
                "snapshot_seq": share.snapshot.seq if share.snapshot else None,
                "workspace": share.ownership.workspace_id if share.ownership else None,
                "owner": share.ownership.owner if share.ownership else None,
                "mode": share.ownership.mode if share.ownership else None,
            }
        )

    def remove(self, share_id: ShareId) -> HttpReply:
        """``DELETE /api/admin/shares/{id}`` -> ``{}``."""
        self._check_admin(http_events.bearer(self._event()))
        self._deletion.remove(share_id, "removed by the operator")
        return self._json({})

    def rescan(self, share_id: ShareId) -> HttpReply:
        """``POST /api/admin/shares/{id}/rescan`` -> ``{}``; the share is searched for secrets after the answer."""
        self._check_admin(http_events.bearer(self._event()))
        self._deletion.look_up(share_id)
        self._tasks.rescan(share_id)
        return self._json({})

    def _check_admin(self, secret: str) -> None:
        if not secret:
            raise Unauthorized(
                "admin_secret_required", "Send the operator's secret as `Authorization: Bearer <secret>`."
            )
        if not hmac.compare_digest(secret.encode(), self._admin_secret().encode()):
            raise Forbidden("wrong_admin_secret", "This is not the operator's secret of this deployment.")

    # ------------------------------------------------------------------------------------- internals

    def _json(self, value: Any, status: int = HTTPStatus.OK) -> HttpReply:
        return http_events.reply(self._event(), msgspec.json.encode(value), status=status)


def _secret(event: http_events.Event) -> str:
    """Return the secret in the body of a DELETE request, which may have no body."""
    return http_events.decode_body(event, _Delete).secret if http_events.raw_body(event) else ""
