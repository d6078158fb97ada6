"""HTTP to sharing and back: the current protocol, the legacy one, readers, the operator (docs/protocol.md)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from opencode_cloud.kit import http, site
from opencode_cloud.kit.errors import BadRequest, Forbidden, Gone, NotFound, Unauthorized
from opencode_cloud.sharing import pages
from opencode_cloud.sharing.items import from_legacy, parse
from opencode_cloud.sharing.markdown import render_markdown
from opencode_cloud.sharing.models import Share, share_not_found
from opencode_cloud.sharing.service import Document, Publishing, Reading, Redirect, Removal, SharedState
from opencode_cloud.sharing.service.reading import legacy_data
from opencode_cloud.sharing.transcript import to_document

Handler = Callable[..., Response[str]]
MARKDOWN = "text/markdown; charset=utf-8"


class _Create(msgspec.Struct):
    session_id: str = msgspec.field(name="sessionID")


class _Sync(msgspec.Struct):
    data: list[msgspec.Raw]
    secret: str = ""


class _Delete(msgspec.Struct):
    secret: str = ""


class _LegacySync(msgspec.Struct):
    session_id: str = msgspec.field(name="sessionID")
    key: str
    content: msgspec.Raw
    secret: str = ""


class _LegacyDelete(msgspec.Struct):
    session_id: str = msgspec.field(name="sessionID")
    secret: str = ""


class _LegacyAdminDelete(msgspec.Struct):
    share: str = msgspec.field(name="sessionShortName")
    secret: str = msgspec.field(name="adminSecret")


class SharingRoutes:
    """The routes of sharing, over its services."""

    def __init__(
        self,
        publishing: Publishing,
        reading: Reading,
        removal: Removal,
        *,
        admin_secret: Callable[[], str],
        public_url: str,
    ) -> None:
        self._publishing = publishing
        self._reading = reading
        self._removal = removal
        self._admin_secret = admin_secret
        self._public_url = public_url

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        router = APIGatewayHttpRouter()
        self._event: Callable[[], dict[str, Any]] = lambda: app.current_event.raw_event
        for mount in (self._current, self._organization, self._legacy, self._admin, self._readers):
            mount(router)
        app.include_router(router)

    # ------------------------------------------------------------------------------- current protocol

    def _current(self, router: APIGatewayHttpRouter) -> None:
        router.post("/api/share")(self.create)
        router.post("/api/share/<share_id>/sync")(self.sync)
        router.delete("/api/share/<share_id>")(self.delete)
        router.get("/api/share/<share_id>/data")(self.data)

    def create(self) -> Response[str]:
        """``POST /api/share {sessionID}`` -> ``{id, url, secret}``."""
        event = self._event()
        made = self._publishing.create(http.decode_body(event, _Create).session_id, http.source_address(event))
        url = f"{http.base_url(event, self._public_url)}/share/{made.id}"
        return self._json({"id": made.id, "url": url, "secret": made.secret})

    def sync(self, share_id: str) -> Response[str]:
        """``POST /api/share/{id}/sync {secret, data}`` -> ``{seq}``."""
        event = self._event()
        body = http.decode_body(event, _Sync)
        commit = self._publishing.sync(share_id, body.secret, parse(body.data), http.arrival_ms(event))
        return self._json({"seq": commit.seq})

    def delete(self, share_id: str) -> Response[str]:
        """``DELETE /api/share/{id} {secret}`` -> ``{}``, also when it is gone already."""
        event = self._event()
        body = http.decode_body(event, _Delete) if http.raw_body(event) else _Delete()
        self._removal.unshare(share_id, body.secret)
        return self._json({})

    def data(self, share_id: str) -> Response[str]:
        """``GET /api/share/{id}/data`` -> the flat array of items."""
        return self._document(self._reading.data(share_id))

    def _organization(self, router: APIGatewayHttpRouter) -> None:
        """``/api/shares``: the same store, for members of an organization; closed until there are members."""
        router.post("/api/shares")(self.demand_bearer)
        router.post("/api/shares/<share_id>/sync")(self.demand_bearer)
        router.delete("/api/shares/<share_id>")(self.demand_bearer)
        router.get("/api/shares/<share_id>/data")(self.demand_bearer)

    def demand_bearer(self, **_path: str) -> Response[str]:
        """Answer 401: this deployment knows no accounts yet."""
        raise Unauthorized(
            "login_required",
            "This address is for members of an organization, and this deployment has no accounts yet."
            " Log out of the console (`opencode console logout`) to share without an account.",
        )

    # -------------------------------------------------------------------------------- legacy protocol

    def _legacy(self, router: APIGatewayHttpRouter) -> None:
        router.post("/share_create")(self.create)
        router.post("/share_sync")(self.legacy_sync)
        router.post("/share_delete")(self.legacy_delete)
        router.post("/share_delete_admin")(self.legacy_delete_admin)
        router.get("/share_data")(self.legacy_data)
        router.get("/share_poll")(self.upgrade_required)

    def legacy_sync(self) -> Response[str]:
        """``POST /share_sync {sessionID, secret, key, content}`` -> ``{}``."""
        event = self._event()
        body = http.decode_body(event, _LegacySync)
        item = from_legacy(body.key, body.content)
        share_id = self._publishing.share_of(body.session_id)
        self._publishing.sync(share_id, body.secret, [item], http.arrival_ms(event))
        return self._json({})

    def legacy_delete(self) -> Response[str]:
        """``POST /share_delete {sessionID, secret}`` -> ``{}``, also when it is gone already."""
        body = http.decode_body(self._event(), _LegacyDelete)
        try:
            share_id = self._publishing.share_of(body.session_id)
        except NotFound:
            return self._json({})
        self._removal.unshare(share_id, body.secret)
        return self._json({})

    def legacy_delete_admin(self) -> Response[str]:
        """``POST /share_delete_admin {sessionShortName, adminSecret}`` -> ``{}``."""
        body = http.decode_body(self._event(), _LegacyAdminDelete)
        self._check_admin(body.secret)
        self._removal.remove(body.share, "removed by the operator")
        return self._json({})

    def legacy_data(self) -> Response[str]:
        """``GET /share_data?id=`` -> ``{info, messages}``."""
        share_id = http.query(self._event(), "id")
        if not share_id:
            raise BadRequest("missing_id", "Name the share: /share_data?id=<share id>.")
        return self._document(
            self._reading.document(
                share_id, "legacy", "application/json", lambda state: legacy_data(state.items).decode()
            )
        )

    def upgrade_required(self) -> Response[str]:
        """``GET /share_poll`` without an upgrade."""
        return self._json(
            {"error": "upgrade_required", "message": "Open a WebSocket at /share_poll?id=<share id>."},
            HTTPStatus.UPGRADE_REQUIRED,
        )

    # ---------------------------------------------------------------------------------- the operator

    def _admin(self, router: APIGatewayHttpRouter) -> None:
        router.get("/api/admin/shares/<share_id>")(self.look_up)
        router.delete("/api/admin/shares/<share_id>")(self.remove)

    def look_up(self, share_id: str) -> Response[str]:
        """``GET /api/admin/shares/{id}`` -> what is known of a share, without its content."""
        self._check_admin(self._bearer())
        found = self._removal.look_up(share_id)
        if not isinstance(found, Share):
            return self._json({**msgspec.to_builtins(found), "state": "gone"})
        return self._json(
            {
                "share": found.id,
                "state": found.state,
                "created_at": found.created_at,
                "expires_at": found.expires_at,
                "snapshot_seq": found.snapshot.seq if found.snapshot else None,
            }
        )

    def remove(self, share_id: str) -> Response[str]:
        """``DELETE /api/admin/shares/{id}`` -> ``{}``."""
        self._check_admin(self._bearer())
        self._removal.remove(share_id, "removed by the operator")
        return self._json({})

    def _bearer(self) -> str:
        scheme, _, value = http.header(self._event(), "authorization").partition(" ")
        return value.strip() if scheme.lower() == "bearer" else ""

    def _check_admin(self, secret: str) -> None:
        if not secret:
            raise Unauthorized(
                "admin_secret_required", "Send the operator's secret as `Authorization: Bearer <secret>`."
            )
        if not hmac.compare_digest(secret.encode(), self._admin_secret().encode()):
            raise Forbidden("wrong_admin_secret", "This is not the operator's secret of this deployment.")

    # --------------------------------------------------------------------------------------- readers

    def _readers(self, router: APIGatewayHttpRouter) -> None:
        router.get("/share/<share_id>/items")(self.items)
        router.get("/share/<share_id>/items/<seq>")(self.item)
        router.get("/share/<share_id>")(self.page)
        router.get("/s/<share_id>")(self.short_link)
        router.get("/")(self.home)
        router.get("/health")(lambda: self._json({"status": "ok"}))
        router.get("/assets/<name>")(self.asset)
        router.get("/assets/<version>/<name>")(self.asset)

    def items(self, share_id: str) -> Response[str]:
        """``GET /share/{id}/items?after=`` -> what is new."""
        after = http.query(self._event(), "after", "0")
        return self._document(self._reading.items(share_id, _number("after", after)))

    def item(self, share_id: str, seq: str) -> Response[str]:
        """``GET /share/{id}/items/{seq}`` -> one item with its body."""
        return self._document(self._reading.item(share_id, _number("seq", seq)))

    def page(self, share_id: str) -> Response[str]:
        """``GET /share/{id}``: a page, or JSON or Markdown by suffix (``.json``, ``.md``) or by Accept."""
        share_id, _, suffix = share_id.partition(".")
        kind = suffix or _preferred(self._event())
        if kind == "json":
            return self._document(self._reading.document(share_id, "document", "application/json", _as_json))
        if kind == "md":
            base = http.base_url(self._event(), self._public_url)
            return self._document(
                self._reading.document(
                    share_id, "transcript", MARKDOWN, lambda s: render_markdown(s.share.id, s.items, base)
                ),
                MARKDOWN,
            )
        if suffix:
            raise share_not_found()
        return self._html(share_id)

    def _html(self, share_id: str) -> Response[str]:
        event = self._event()
        policy = pages.content_security_policy(self._reading.bodies_origin())
        try:
            state = self._reading.state(share_id)
        except Gone:
            return self._page(pages.render_gone(), policy, HTTPStatus.GONE)
        except NotFound:
            return self._page(pages.render_missing(), policy, HTTPStatus.NOT_FOUND)
        base = http.base_url(event, self._public_url)
        return self._page(pages.render_share(share_id, state.items, state.seq, base), policy)

    def _page(self, html: str, policy: str, status: int = HTTPStatus.OK) -> Response[str]:
        headers = {**pages.HEADERS, "Content-Security-Policy": policy, "Vary": "Accept"}
        return http.reply(self._event(), html.encode(), headers.pop("Content-Type"), status=status, headers=headers)

    def home(self) -> Response[str]:
        """``GET /``: what this is, and how to point a client at it."""
        html = pages.render_home(http.base_url(self._event(), self._public_url))
        return self._page(html, pages.CONTENT_SECURITY_POLICY)

    def short_link(self, share_id: str) -> Response[str]:
        """``GET /s/{id}``: the legacy address of a share."""
        if not share_id.replace("-", "").replace("_", "").isalnum():
            raise share_not_found()
        return http.redirect(f"/share/{share_id}")

    def asset(self, name: str, version: str = "") -> Response[str]:
        """``GET /assets/{name}``, ``/assets/{version}/{name}``: the page's module and style."""
        found = site.static_asset(f"{version}/{name}" if version else name)
        if found is None:
            raise NotFound("asset_not_found", "There is no such file.")
        headers = {"Cache-Control": found.cache_control, "X-Content-Type-Options": "nosniff"}
        return http.reply(self._event(), found.body, found.media_type, headers=headers)

    # ------------------------------------------------------------------------------------- internals

    def _json(self, value: Any, status: int = HTTPStatus.OK) -> Response[str]:
        return http.reply(self._event(), msgspec.json.encode(value), status=status)

    def _document(self, document: Document | Redirect, content_type: str = "application/json") -> Response[str]:
        if isinstance(document, Redirect):
            return http.redirect(document.address)
        return http.reply(self._event(), document.body, content_type)


def _as_json(state: SharedState) -> str:
    return msgspec.json.encode(to_document(state.share.id, state.items, state.seq)).decode()


def _preferred(event: http.Event) -> str:
    """Tell which form a reader asks for: browsers name text/html, programs and agents what they want."""
    accept = http.header(event, "accept")
    if "text/html" in accept:
        return ""
    if "text/markdown" in accept:
        return "md"
    return "json" if "application/json" in accept else ""


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 12:
        raise BadRequest("invalid_number", f"`{name}` must be a whole number of at most 12 digits.")
    return int(value)
