"""The pages of shared sessions: list, change and revoke them. The function ``share`` serves them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.forms import Form, InvalidForm
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.pages import see
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.pagination import decode_cursor, encode_cursor
from opencode_cloud.sharing.models import Mode, ShareCursor, ShareUpdate

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.sharing.models import Listed
    from opencode_cloud.sharing.service.deletion import ShareDeletion
    from opencode_cloud.sharing.service.owning import Owning

SHOWN = 50
"""The most shares of one page."""
MOST_READ = 10
"""The most pages of shares that a search reads for one page of results. The list has no index by title."""
MOST_REVOKED = 50
LONGEST = 100
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 200
MODES = {
    Mode.LINK: gettext_noop("anyone with the link"),
    Mode.PASSWORD: gettext_noop("anyone with the link and the password"),
    Mode.WORKSPACE: gettext_noop("members only"),
}


class ShareRow(msgspec.Struct, frozen=True):
    """A share in the list."""

    id: ShareId
    title: str
    owner: str
    mode: Mode
    audience: str
    views: int
    created_at: datetime
    expires_at: datetime | None


class SharePages:
    """The shares of the workspace, or only the actor's own without ``share:manage``."""

    PAGE: ClassVar[ConsolePage] = menu.SHARES

    def __init__(self, app: ConsoleApp, owning: Owning, deletion: ShareDeletion, access: Access) -> None:
        self._app = app
        self._owning = owning
        self._deletion = deletion
        self._access = access

    def mount(self) -> None:
        """Add every page."""
        own, routes = Permission.SHARE_OWN, self._app.add(self.PAGE, self.show)
        # Before the routes of one share, whose id could be any word.
        routes.post("/shares/revoke", self.revoke, own, self.show)
        routes.get("/shares/<share_id>", self.one, own)
        routes.post("/shares/<share_id>", self.change, own, self.one)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../shares?search=...&mode=link&own=1``: shares, the newest first."""
        search, own = request.query("search")[:LONGEST], request.query("own") == "1"
        mode = next((each for each in Mode if each == request.query("mode")), None)
        found, following = self._find(request, search.casefold(), mode, own=own)
        asked = {"search": search, "mode": mode or "", "own": "1" if own else ""}
        cursor = encode_cursor((following.created_at, following.share_id)) if following else ""
        return self._app.page(
            request,
            shares=self._rows(request, found),
            search=search,
            mode=mode,
            modes=MODES,
            own=own,
            more=urlencode({**asked, "cursor": cursor}) if cursor else "",
        )

    def one(self, request: PageRequest, share_id: ShareId) -> Response[str]:
        """``GET .../shares/{share_id}``: a share, and the form that changes it."""
        listed = self._owning.get(request.actor, share_id)
        [row] = self._rows(request, [listed])
        filled = {"mode": str(row.mode), "expires": f"{row.expires_at:%Y-%m-%d}" if row.expires_at else ""}
        if request.failed:
            filled = {name: request.form.one(name) for name in filled}
        url = f"{self._app.base_url()}/share/{share_id}"
        return self._app.page(request, "share.html", share=row, filled=filled, modes=MODES, url=url)

    def change(self, request: PageRequest, share_id: ShareId) -> Response[str]:
        """``POST .../shares/{share_id}``: set who may read it, the password, and the end."""
        listed = self._owning.get(request.actor, share_id)
        update = update_of(request.form, listed)
        self._owning.change(request.actor, share_id, update)
        return see(f"{request.base}/shares?done=share")

    def revoke(self, request: PageRequest) -> Response[str]:
        """``POST .../shares/revoke``: list the chosen shares and ask; with ``confirmed``, remove them for good."""
        chosen = [ShareId(each) for each in request.form.many("share")][:MOST_REVOKED]
        if not chosen:
            raise InvalidForm([DocumentFault(path="/share", message=gettext_noop("Choose at least one share"))])
        if request.form.one("confirmed"):
            self._owning.revoke(request.actor, chosen, self._deletion)
            return see(f"{request.base}/shares?done=unshared")
        listed = [self._owning.get(request.actor, share_id) for share_id in dict.fromkeys(chosen)]
        return self._app.page(request, "revoke_shares.html", shares=self._rows(request, listed))

    def _find(
        self, request: PageRequest, search: str, mode: Mode | None, *, own: bool
    ) -> tuple[list[Listed], ShareCursor | None]:
        """Return shares whose title contains a text, and the position after them."""
        key = decode_cursor(request.query("cursor"), tuple[int, str])
        after = ShareCursor(key[0], ShareId(key[1])) if key else None
        found: list[Listed] = []
        for _read in range(MOST_READ):
            page, after = self._owning.page(request.actor, own=own, limit=SHOWN, after=after)
            found += [
                each
                for each in page
                if search in each.ownership.title.casefold() and mode in {None, each.ownership.mode}
            ]
            # A page is never cut, so that the next one begins right after it.
            if after is None or len(found) >= SHOWN or not (search or mode):
                break
        return found, after

    def _rows(self, request: PageRequest, found: Sequence[Listed]) -> list[ShareRow]:
        names = self._access.names(request.workspace.id, [each.ownership.owner for each in found])
        return [
            ShareRow(
                id=each.share.id,
                title=each.ownership.title or _("Untitled session"),
                owner=names.get(each.ownership.owner, _("a former member")),
                mode=each.ownership.mode,
                audience=MODES[each.ownership.mode],
                views=each.views,
                created_at=datetime.fromtimestamp(each.share.created_at / 1000, UTC),
                expires_at=datetime.fromtimestamp(each.share.expires_at, UTC) if each.share.expires_at else None,
            )
            for each in found
        ]


def update_of(form: Form, listed: Listed) -> ShareUpdate:
    """Return the changes of a form; raises :class:`InvalidForm`. A share ends at the end of its last day, in UTC."""
    faults: list[DocumentFault] = []
    mode = next((each for each in Mode if each == form.one("mode")), None)
    password, text = form.one("password") or None, form.one("expires")
    if mode is None:
        faults.append(DocumentFault(path="/mode", message=gettext_noop("Choose one of the offered values")))
    if password and mode is not Mode.PASSWORD:
        faults.append(DocumentFault(path="/password", message=gettext_noop("Only a share with a password has one")))
    if password and len(password) < SHORTEST_PASSWORD:
        words = _("Write at least {min_length} characters").format(min_length=SHORTEST_PASSWORD)
        faults.append(DocumentFault(path="/password", message=words))
    if password and len(password) > LONGEST_PASSWORD:
        words = _("Write at most {max_length} characters").format(max_length=LONGEST_PASSWORD)
        faults.append(DocumentFault(path="/password", message=words))
    if mode is Mode.PASSWORD and not password and not listed.ownership.password_hash:
        faults.append(DocumentFault(path="/password", message=gettext_noop("Write a password")))
    ends = 0
    if text:
        try:
            last = datetime.fromisoformat(text[:10]).replace(tzinfo=UTC) + timedelta(days=1)
            ends = int(last.timestamp())
        except (ValueError, OverflowError):
            faults.append(DocumentFault(path="/expires", message=gettext_noop("Write a day such as 2027-01-31")))
    if faults:
        raise InvalidForm(faults)
    # The end that the form showed is no change, though it is not the end of a day.
    present = listed.share.expires_at
    kept = (f"{datetime.fromtimestamp(present, UTC):%Y-%m-%d}" if present else "") == text[:10]
    return ShareUpdate(mode=mode, password=password, expires_at=None if kept else ends)
