"""Authentication from the projection by boto3: reads the rows of a credential; ``access/rules.py`` decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from opencode_cloud.access import rules
from opencode_cloud.access.credentials import KEY_PREFIX, PROVEN_KEY, PROVEN_SESSION, hash_of_key, session_of_cookie
from opencode_cloud.contracts.access import (
    KnownConfiguration,
    KnownKey,
    KnownMember,
    KnownSession,
    KnownWorkspace,
    login_required,
)
from opencode_cloud.contracts.actor import Actor, CredentialKind
from opencode_cloud.contracts.ids import AccountId, KeyId, ServiceAccountId, SessionId, WorkspaceId
from opencode_cloud.kit.clock import now_seconds

if TYPE_CHECKING:
    from opencode_cloud.access.credentials import AccessRequest
    from opencode_cloud.access.store import AccessStore, KeyUses
    from opencode_cloud.contracts.permissions import Permission

TokenSession = Callable[[str], str | None]
"""Verifies an access token and returns the id of its session; None for anything but a valid token of this stage."""


class Access:
    """Authenticates requests against the projection. Its data is never older than five seconds (invariant I9)."""

    def __init__(self, store: AccessStore, token_session: TokenSession, uses: KeyUses | None = None) -> None:
        """Store the dependencies. ``uses`` records uses of keys; a function without write access passes None."""
        self._store = store
        self._token_session = token_session
        self._uses = uses

    def account(self, request: AccessRequest) -> Actor:
        """Return the person behind a session or token, outside of any workspace.

        Raises ``login_required`` (401), also for a key, which does not represent a person.
        """
        credential, session = self._session(request)
        holder = self._store.person(session.account_id, None)
        return rules.authenticate_person(request, credential, session, holder.account)

    def member(self, request: AccessRequest, workspace_id: WorkspaceId, *permissions: Permission) -> Actor:
        """Return the actor in ``workspace_id`` (empty: the key's own) if it has all of ``permissions``.

        Raises ``login_required`` (401), ``workspace_required`` (401), ``workspace_not_found`` (404) for non-members, or
        ``not_permitted`` (403).
        """
        if request.bearer.startswith(KEY_PREFIX) or request.proven.startswith(PROVEN_KEY):
            actor = self._by_key(request, workspace_id)
        else:
            actor = self._by_session(request, workspace_id)
        return rules.require(actor, permissions)

    def workspace(self, workspace_id: WorkspaceId) -> KnownWorkspace | None:
        """Return a workspace with the policy in force; None for a blocked or deleted one."""
        return self._store.workspace(workspace_id)

    def workspace_permitting(
        self, holder: str, workspace_id: WorkspaceId, permission: Permission
    ) -> KnownWorkspace | None:
        """Return the workspace if ``holder`` (``acc_`` or ``svc_``) has ``permission`` there now, by one round trip.

        This serves work that goes on without its owner's credential, such as a share that is written by its secret.
        """
        machine = holder.startswith("svc_")
        rows = self._store.holder(
            KnownKey(
                id=KeyId(""),
                workspace_id=workspace_id,
                account_id=AccountId("" if machine else holder),
                service_account_id=ServiceAccountId(holder if machine else ""),
            )
        )
        return rules.workspace_permitting(rows, permission)

    def memberships(self, account_id: AccountId) -> list[tuple[KnownMember, KnownWorkspace]]:
        """Return the workspaces of a person and the person's membership in each, sorted by name."""
        memberships = self._store.memberships(account_id)
        return sorted(memberships, key=lambda membership: (membership[1].name.casefold(), membership[1].id))

    def membership(self, account_id: AccountId, workspace_id: WorkspaceId) -> tuple[KnownMember, KnownWorkspace] | None:
        """Return a person's membership in a workspace, as the gateway reads it; None without one."""
        holder = self._store.person(account_id, workspace_id)
        if holder.account is None or holder.member is None or holder.workspace is None:
            return None
        return holder.member, holder.workspace

    def names(self, workspace_id: WorkspaceId, holders: Sequence[str]) -> Mapping[str, str]:
        """Return addresses of people (``acc_``) and names of service accounts, by id; unknown ones are left out."""
        return self._store.names(workspace_id, holders)

    def clients(self, workspace_id: WorkspaceId) -> tuple[KnownWorkspace | None, KnownConfiguration | None]:
        """Return a workspace and the remote config of its clients (None: none is published), by one round trip."""
        return self._store.clients(workspace_id)

    def may_sign_in(self, account_id: AccountId) -> bool:
        """Tell whether the account exists and is not blocked."""
        return self._store.person(account_id, None).account is not None

    def _by_session(self, request: AccessRequest, workspace_id: WorkspaceId) -> Actor:
        credential, session = self._session(request)
        holder = self._store.person(session.account_id, workspace_id or None)
        person = rules.authenticate_person(request, credential, session, holder.account)
        return rules.authenticate_member(person, holder, workspace_id)

    def _session(self, request: AccessRequest) -> tuple[CredentialKind, KnownSession]:
        credential, session_id = self._session_id(request)
        if session_id is None:
            raise login_required()
        return credential, rules.check_session(self._store.session(SessionId(session_id)), now_seconds())

    def _session_id(self, request: AccessRequest) -> tuple[CredentialKind, str | None]:
        if request.proven:
            return CredentialKind.SESSION, request.proven.removeprefix(PROVEN_SESSION)
        if request.bearer:
            return CredentialKind.TOKEN, self._token_session(request.bearer)
        if request.cookie:
            return CredentialKind.SESSION, session_of_cookie(request.cookie)
        return CredentialKind.NONE, None

    def _by_key(self, request: AccessRequest, workspace_id: WorkspaceId) -> Actor:
        proven = request.proven.removeprefix(PROVEN_KEY)
        row = self._store.key(bytes.fromhex(proven) if proven else hash_of_key(request.bearer))
        key = rules.check_key(request, row, now_seconds())
        actor = rules.authenticate_key(request, key, self._store.holder(key), workspace_id)
        # A check by proof repeats an earlier check, so it is not a use of its own.
        if self._uses is not None and not proven:
            self._uses.note(key.id)
        return actor
