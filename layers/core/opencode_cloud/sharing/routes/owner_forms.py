"""The owner's panel on the page of a share: its forms, which need no script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.requests import (
    SESSION_COOKIE,
    check_form_token,
    check_same_origin,
    cookie,
    form_fields,
    form_token,
    request_of,
)
from opencode_cloud.kit import http_events
from opencode_cloud.kit.clock import DAY_SECONDS, now_seconds
from opencode_cloud.kit.errors import BadRequest, NotFound, ServiceError
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.sharing.models import Mode, OwnerPanel, Share, ShareUpdate, share_not_found

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.sharing.service.deletion import ShareDeletion
    from opencode_cloud.sharing.service.owning import Owning
    from opencode_cloud.sharing.store import ShareStore, Tasks

PASSWORD_CHARACTERS = range(8, 201)
MOST_FIELDS = 1000
"""Fields of a form. One lists each kind of secret that may be allowed."""
ENDS: Mapping[str, int] = {"day": DAY_SECONDS, "week": 7 * DAY_SECONDS, "month": 30 * DAY_SECONDS}
"""Lifetimes that the form offers, in seconds from now."""


class OwnerForms:
    """Shows the panel to the owner and to admins of the workspace, and takes its forms."""

    def __init__(
        self,
        owning: Owning,
        deletion: ShareDeletion,
        tasks: Tasks,
        store: ShareStore,
        access: Access,
        key: Callable[[], str],
    ) -> None:
        """``key`` returns the deployment's key, from which tokens of forms are made."""
        self._owning = owning
        self._deletion = deletion
        self._tasks = tasks
        self._store = store
        self._access = access
        self._key = key

    def panel(self, event: http_events.Event, share: Share) -> OwnerPanel | None:
        """Return what the panel shows; None if no owner or admin of this share is signed in in this browser."""
        try:
            actor = self._actor(event, share)
            return self._owning.panel(actor, share.id)
        except ServiceError:
            return None

    def token(self, event: http_events.Event, share_id: ShareId) -> str:
        """Return the token of the panel's forms for this browser."""
        return form_token(self._key(), cookie(event, SESSION_COOKIE), action(share_id))

    def take(self, event: http_events.Event, share_id: ShareId) -> HttpReply:
        """Carry out a form, and send the browser back to the page.

        Raises ``cross_origin`` or ``stale_form`` (403), ``share_not_found`` (404), and the errors of
        :meth:`Owning.change`.
        """
        check_same_origin(event)
        fields = form_fields(event, MOST_FIELDS, keep_blank=True)
        token = _one(fields, "token")
        check_form_token(self._key(), cookie(event, SESSION_COOKIE), action(share_id), token)
        share = self._store.share(share_id)
        if share is None:
            raise share_not_found()
        actor = self._actor(event, share)
        match _one(fields, "action"):
            case "revoke":
                if not _one(fields, "confirm"):
                    raise BadRequest("unconfirmed", "Nothing was changed. Tick the box to remove the share.")
                self._owning.revoke_one(actor, share_id, self._deletion)
                return _back(share_id)
            case "rescan":
                self._owning.rescan(actor, share_id, self._tasks)
                return _back(share_id, "rescan")
            case "allow":
                self._owning.change(actor, share_id, ShareUpdate(allowed_secrets=tuple(fields.get("allowed", []))))
                return _back(share_id, "allowed")
            case _:
                self._owning.change(actor, share_id, _change(fields))
                return _back(share_id, "saved")

    def _actor(self, event: http_events.Event, share: Share) -> Actor:
        """Return the member who is signed in in this browser. Raises a :class:`ServiceError` without one."""
        request = request_of(event)
        if share.ownership is None or not request.cookie or request.bearer:
            raise share_not_found()
        return self._access.member(request, share.ownership.workspace_id, Permission.SHARE_OWN)


def action(share_id: ShareId) -> str:
    """Return the path to which the panel's forms are sent."""
    return f"/share/{share_id}/owner"


def _change(fields: Mapping[str, Sequence[str]]) -> ShareUpdate:
    """Read the form of audience and end. Raises ``malformed_form`` or ``invalid_password`` (400)."""
    try:
        mode = Mode(_one(fields, "mode"))
    except ValueError as error:
        raise BadRequest("malformed_form", "This form is incomplete. Reload the page.") from error
    password = _one(fields, "password") or None
    if password is not None and len(password) not in PASSWORD_CHARACTERS:
        raise BadRequest("invalid_password", "A password has 8 to 200 characters.")
    end = _one(fields, "end")
    expires_at = {"never": 0}.get(end, now_seconds() + ENDS[end] if end in ENDS else None)
    # A password that a browser has filled in belongs to mode `password` only.
    password = password if mode is Mode.PASSWORD else None
    comments = {"on": True, "off": False}.get(_one(fields, "comments"))
    return ShareUpdate(mode=mode, password=password, expires_at=expires_at, comments=comments)


def _one(fields: Mapping[str, Sequence[str]], name: str) -> str:
    return (fields.get(name) or [""])[0].strip()


def _back(share_id: ShareId, done: str = "") -> HttpReply:
    query = f"?done={done}" if done else ""
    return http_events.redirect(f"/share/{share_id}{query}#owner", HTTPStatus.SEE_OTHER)


def is_panel_error(error: ServiceError) -> bool:
    """Tell whether the panel shows an error. Others are answered as for any reader."""
    return not isinstance(error, NotFound)
