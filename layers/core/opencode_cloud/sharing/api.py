"""``/api/v1/workspaces/{workspace}/shares``: owners and admins list, change and revoke shares."""

# Powertools reads the annotations of handlers as they run, so they are no strings here.

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from opencode_cloud.access.service import Access
from opencode_cloud.identity.web import check_same_origin, request_of
from opencode_cloud.kit import http
from opencode_cloud.kit.actor import Actor
from opencode_cloud.kit.pages import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, encode_cursor
from opencode_cloud.sharing.models import Change, Listed, Mode, Place
from opencode_cloud.sharing.service import Owning, Removal
from opencode_cloud.workspaces.permissions import Permission

TAG = "shares"
MOST_REVOKED = 50
Workspace = Annotated[str, Path(description="The workspace's id.", pattern=r"^wrk_[0-9A-Z]{26}$")]
ShareId = Annotated[str, Path(description="The share's id.", pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Owner = Annotated[Literal["me"] | None, Query(description="`me`: one's own only, also where one may manage all.")]


class ShareView(BaseModel):
    """A share with an owner."""

    id: str
    url: str
    title: str = Field(description="The session's title; empty until the client has sent one.")
    owner: str = Field(description="Id of the account or service account that it belongs to.")
    mode: Literal["link", "password", "workspace"] = Field(
        description="Who may read it: whoever has the link; has the password, too, or is a member; is a member."
        " A stricter policy of the workspace goes before it."
    )
    views: int = Field(description="How often its page or a document of it was opened.")
    created_at: datetime
    expires_at: datetime | None


class ShareChange(BaseModel):
    """What is to change; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["link", "password", "workspace"] | None = None
    password: str | None = Field(default=None, min_length=8, max_length=200, description="With mode `password` only.")
    expires_at: AwareDatetime | None = Field(default=None, description="null: it does not end by itself.")


class Revocation(BaseModel):
    """Shares to revoke."""

    model_config = ConfigDict(extra="forbid")

    shares: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(min_length=1, max_length=MOST_REVOKED)


class Revoked(BaseModel):
    """What became of each of them."""

    revoked: list[str]
    missing: list[str] = Field(description="There are no such shares, or none that you may revoke.")


class ShareApi:
    """The routes of shares in `/api/v1`."""

    def __init__(self, owning: Owning, removal: Removal, access: Access, *, public_url: str) -> None:
        self._owning = owning
        self._removal = removal
        self._access = access
        self._public_url = public_url

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        self._event: Callable[[], dict[str, Any]] = lambda: app.current_event.raw_event
        router = APIGatewayHttpRouter()
        base = "/api/v1/workspaces/<workspace>/shares"
        options: dict[str, Any] = {"tags": [TAG], "openapi_extensions": {"x-permission": Permission.SHARE_OWN.value}}
        router.get(base, summary="List shares", **options)(self.list)
        router.post(f"{base}/revoke", summary="Revoke many shares", **options)(self.revoke_many)
        router.get(f"{base}/<share>", summary="Get a share", **options)(self.get)
        router.patch(  # pyright: ignore[reportUnknownMemberType]
            f"{base}/<share>", summary="Change who may read a share, or when it ends", **options
        )(self.change)
        no_content: dict[int, OpenAPIResponse] = {204: {"description": "It is gone for everyone."}}
        router.delete(f"{base}/<share>", summary="Revoke a share", responses=no_content, **options)(self.revoke)
        app.include_router(router)

    def list(
        self, workspace: Workspace, owner: Owner = None, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[ShareView]:
        """List the shares that you may manage, newest first: all of the workspace's with `share:manage`, else your own.

        A page may hold fewer than `limit`, also none, before the last one.
        """
        actor = self._actor(workspace)
        key = decode_cursor(cursor, tuple[int, str])
        after = Place(*key) if key else None
        found, following = self._owning.page(actor, own=owner == "me", limit=limit, after=after)
        next_cursor = encode_cursor((following.created_at, following.share)) if following else None
        return Page(data=[self._view(each) for each in found], next_cursor=next_cursor)

    def get(self, workspace: Workspace, share: ShareId) -> ShareView:
        """Get a share of your own, or with `share:manage` any of the workspace's."""
        return self._view(self._owning.get(self._actor(workspace), share))

    def change(self, workspace: Workspace, share: ShareId, changes: ShareChange) -> ShareView:
        """Change the mode, the password or the end of a share, within the policy of the workspace.

        A change of mode or password ends the connections of all who watch; whoever still may comes back.
        """
        expires_at = None
        if "expires_at" in changes.model_fields_set:
            expires_at = int(changes.expires_at.timestamp()) if changes.expires_at else 0
        mode = Mode(changes.mode) if changes.mode else None
        change = Change(mode=mode, password=changes.password, expires_at=expires_at)
        return self._view(self._owning.change(self._actor(workspace), share, change))

    def revoke(self, workspace: Workspace, share: ShareId) -> Response[str]:
        """Remove a share for everybody, for good; its secret is not needed."""
        self._owning.revoke_one(self._actor(workspace), share, self._removal)
        return Response(HTTPStatus.NO_CONTENT, "application/json", "", dict(http.PRIVATE))

    def revoke_many(self, workspace: Workspace, revocation: Revocation) -> Revoked:
        """Remove up to 50 shares. To repeat it is safe."""
        revoked, missing = self._owning.revoke(self._actor(workspace), revocation.shares, self._removal)
        return Revoked(revoked=revoked, missing=missing)

    def _actor(self, workspace: str) -> Actor:
        event = self._event()
        check_same_origin(event)
        return self._access.member(request_of(event), workspace, Permission.SHARE_OWN)

    def _view(self, listed: Listed) -> ShareView:
        share, ownership = listed.share, listed.ownership
        return ShareView(
            id=share.id,
            url=f"{http.base_url(self._event(), self._public_url)}/share/{share.id}",
            title=ownership.title,
            owner=ownership.owner,
            mode=ownership.mode.value,
            views=listed.views,
            created_at=datetime.fromtimestamp(share.created_at / 1000, UTC),
            expires_at=datetime.fromtimestamp(share.expires_at, UTC) if share.expires_at is not None else None,
        )
