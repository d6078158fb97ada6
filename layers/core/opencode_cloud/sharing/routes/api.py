"""``/api/v1/workspaces/{workspace_id}/shares``: owners and admins list, change and revoke shares."""

# Powertools evaluates the annotations of handlers at run time, so this module does not postpone their evaluation. It
# also passes every path parameter, including the workspace, which the gate has already checked.
# ruff: noqa: ARG002
from collections import Counter
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from opencode_cloud.access.service import Access
from opencode_cloud.contracts.ids import ShareId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit import http_events
from opencode_cloud.kit.api_responses import nothing
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, encode_cursor
from opencode_cloud.sharing.models import (
    LONGEST_SHARE_ID,
    Finding,
    ItemFindings,
    Listed,
    Mode,
    Ownership,
    ShareCursor,
    ShareUpdate,
)
from opencode_cloud.sharing.protocol.tickets import LONGEST_PASSWORD
from opencode_cloud.sharing.service.deletion import ShareDeletion
from opencode_cloud.sharing.service.owning import Owning
from opencode_cloud.sharing.store import Tasks

TAG = "Shares"
MOST_REVOKED = 50
MOST_SECRETS = 1000
WorkspaceParameter = Annotated[WorkspaceId, Path(description="Id of the workspace.")]
ShareParameter = Annotated[ShareId, Path(description="Id of the share.", max_length=LONGEST_SHARE_ID)]
Owner = Annotated[Literal["me"] | None, Query(description="`me`: only your own, even if you may manage all.")]


class ShareView(BaseModel):
    """A share with an owner."""

    id: ShareId
    url: str
    title: str = Field(description="The session's title; empty until the client has sent one.")
    owner: str = Field(description="Id of the account or service account that owns it.")
    mode: Literal["link", "password", "workspace"] = Field(
        description="Who may read it. `link`: anyone with the link. `password`: anyone with the link and the password,"
        " and members. `workspace`: members only. A stricter policy of the workspace takes precedence."
    )
    views: int = Field(description="How often its page or one of its documents was opened.")
    comments: bool | None = Field(
        description="Whether members may comment, and readers see comments. null: only if members alone read the share."
    )
    allowed_secrets: list[str] = Field(description="Kinds of secrets, and single ones, that the share may show.")
    created_at: datetime
    expires_at: datetime | None


class SecretView(BaseModel):
    """A secret that was found, without its value."""

    kind: str = Field(description="As in `[redacted: <kind>]`.")
    fingerprint: str = Field(description="The same for the same secret in this share.")
    item: str = Field(description="The item's identity, such as `part/msg_1/prt_2`.")
    message_id: str | None = Field(description="The message; null for an item that belongs to none.")
    part_id: str | None
    field: str = Field(description="The member of the item's data; empty: the item's identity.")
    count: int = Field(description="How often the field holds it.")
    found_at: datetime = Field(description="The arrival of the item.")


class SecretsView(BaseModel):
    """The secrets that were found in a share."""

    mode: Literal["on", "report", "off"] = Field(
        description="The policy of the workspace now. `on`: secrets are replaced before they are stored."
    )
    total: int = Field(description="Number of secrets in all fields.")
    kinds: dict[str, int] = Field(description="Number of secrets by kind.")
    allowed_secrets: list[str]
    secrets: list[SecretView] = Field(description="The latest item first, at most 1,000.")


class ShareChange(BaseModel):
    """Changes of a share. Omitted members stay unchanged."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["link", "password", "workspace"] | None = None
    password: str | None = Field(
        default=None, min_length=8, max_length=LONGEST_PASSWORD, description="Only with mode `password`."
    )
    expires_at: AwareDatetime | None = Field(default=None, description="null: it never expires.")
    allowed_secrets: list[str] | None = Field(
        default=None,
        max_length=100,
        description="Kinds (`generic-api-key`) or single secrets (`generic-api-key/1a2b3c4d`, kind and fingerprint) "
        "that are not to be replaced. They appear when the client shares their message again.",
    )
    comments: bool | None = Field(default=None, description="Whether members may comment. null: unchanged.")


class Revocation(BaseModel):
    """Shares to revoke."""

    model_config = ConfigDict(extra="forbid")

    shares: list[Annotated[ShareId, Field(min_length=1, max_length=LONGEST_SHARE_ID)]] = Field(
        min_length=1, max_length=MOST_REVOKED
    )


class Revoked(BaseModel):
    """The outcome for each share."""

    revoked: list[ShareId]
    missing: list[ShareId] = Field(description="Ids of shares that do not exist or that you may not revoke.")


class ShareApi:
    """The routes of shares in `/api/v1`."""

    def __init__(
        self, owning: Owning, deletion: ShareDeletion, tasks: Tasks, access: Access, *, public_url: str
    ) -> None:
        self._owning = owning
        self._deletion = deletion
        self._tasks = tasks
        self._access = access
        self._public_url = public_url

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        self._gate = Gate(app, self._access)
        root, own = f"{WORKSPACE}/shares", Permission.SHARE_OWN
        add = self._gate.add
        add(f"GET {root}", self.list, own, "List shares", TAG)
        add(f"POST {root}/revoke", self.revoke_many, own, "Revoke many shares", TAG)
        add(f"GET {root}/<share_id>", self.get, own, "Get a share", TAG)
        add(f"PATCH {root}/<share_id>", self.change, own, "Change a share", TAG)
        add(f"GET {root}/<share_id>/secrets", self.secrets, own, "List the secrets that were found in a share", TAG)
        rescan = "Search a share for secrets again"
        add(f"POST {root}/<share_id>/rescan", self.rescan, own, rescan, TAG, HTTPStatus.ACCEPTED)
        add(f"DELETE {root}/<share_id>", self.revoke, own, "Revoke a share", TAG, HTTPStatus.NO_CONTENT)

    def list(
        self, workspace_id: WorkspaceParameter, owner: Owner = None, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[ShareView]:
        """List the shares that you may manage, newest first.

        With `share:manage` these are all shares of the workspace, otherwise your own. A page before the last one may
        hold fewer than `limit` shares, or none.
        """
        key = decode_cursor(cursor, tuple[int, str])
        after = ShareCursor(key[0], ShareId(key[1])) if key else None
        shares, following = self._owning.page(self._gate.actor, own=owner == "me", limit=limit, after=after)
        next_cursor = encode_cursor((following.created_at, following.share_id)) if following else None
        return Page(data=[self._view(listed) for listed in shares], next_cursor=next_cursor)

    def get(self, workspace_id: WorkspaceParameter, share_id: ShareParameter) -> ShareView:
        """Get a share of your own, or with `share:manage` any share of the workspace."""
        return self._view(self._owning.get(self._gate.actor, share_id))

    def change(self, workspace_id: WorkspaceParameter, share_id: ShareParameter, changes: ShareChange) -> ShareView:
        """Change the mode, the password or the end of a share, within the policy of the workspace.

        A change of mode or password closes the connections of all viewers. Viewers who still have access can reconnect.
        """
        expires_at = None
        if "expires_at" in changes.model_fields_set:
            expires_at = int(changes.expires_at.timestamp()) if changes.expires_at else 0
        mode = Mode(changes.mode) if changes.mode else None
        allowed = tuple(changes.allowed_secrets) if changes.allowed_secrets is not None else None
        change = ShareUpdate(
            mode=mode,
            password=changes.password,
            expires_at=expires_at,
            allowed_secrets=allowed,
            comments=changes.comments,
        )
        return self._view(self._owning.change(self._gate.actor, share_id, change))

    def secrets(self, workspace_id: WorkspaceParameter, share_id: ShareParameter) -> SecretsView:
        """List the secrets that were found in what was shared: their kind and place, never their value.

        The list keeps what was found last in each item, also if a later version of the item holds it no more.
        """
        report = self._owning.report(self._gate.actor, share_id)
        kinds: Counter[str] = Counter()
        for item in report.items:
            for finding in item.findings:
                kinds[finding.kind] += finding.count
        views = (_secret_view(item, finding) for item in report.items for finding in item.findings)
        return SecretsView(
            mode=report.mode.value,
            total=kinds.total(),
            kinds=dict(sorted(kinds.items())),
            allowed_secrets=[*report.allowed],
            secrets=[*islice(views, MOST_SECRETS)],
        )

    def rescan(self, workspace_id: WorkspaceParameter, share_id: ShareParameter) -> Response[None]:
        """Search everything that is stored of a share by the present rules, and replace what is found.

        This takes some seconds after the answer. It also applies to older versions of the items.
        """
        self._owning.rescan(self._gate.actor, share_id, self._tasks)
        return nothing(HTTPStatus.ACCEPTED)

    def revoke(self, workspace_id: WorkspaceParameter, share_id: ShareParameter) -> Response[None]:
        """Remove a share permanently, for everyone. Its secret is not needed."""
        self._owning.revoke_one(self._gate.actor, share_id, self._deletion)
        return nothing()

    def revoke_many(self, workspace_id: WorkspaceParameter, revocation: Revocation) -> Revoked:
        """Remove up to 50 shares. The request can be repeated safely."""
        revoked, missing = self._owning.revoke(self._gate.actor, revocation.shares, self._deletion)
        return Revoked(revoked=revoked, missing=missing)

    def _view(self, listed: Listed) -> ShareView:
        share, expires_at = listed.share, listed.share.expires_at
        shown = ShareView.model_fields.keys() & set(Ownership.__struct_fields__)
        return ShareView(
            id=share.id,
            url=f"{http_events.base_url(self._gate.event, self._public_url)}/share/{share.id}",
            views=listed.views,
            created_at=datetime.fromtimestamp(share.created_at / 1000, UTC),
            expires_at=datetime.fromtimestamp(expires_at, UTC) if expires_at is not None else None,
            # Fields of the same name, so that a new one is declared in the models only.
            **{name: getattr(listed.ownership, name) for name in shown},
        )


def _secret_view(item: ItemFindings, finding: Finding) -> SecretView:
    kind, *ids = item.key.split("/")
    return SecretView(
        kind=finding.kind,
        fingerprint=finding.fingerprint,
        item=item.key,
        message_id=ids[0] if kind in ("message", "part") and ids else None,
        part_id=ids[1] if kind == "part" and len(ids) > 1 else None,
        field=finding.field,
        count=finding.count,
        found_at=datetime.fromtimestamp(item.at / 1000, UTC),
    )
