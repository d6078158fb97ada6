"""Pending codes: device requests, authorization codes, sign-ins at providers, e-mail codes."""

from __future__ import annotations

import msgspec

from opencode_cloud.contracts.ids import AccountId, SessionId, WorkspaceId
from opencode_cloud.identity.models import (
    AuthorizationCode,
    Challenge,
    DeviceRequest,
    DeviceState,
    KnownNetwork,
    LoginState,
)
from opencode_cloud.identity.store.rows import SessionRows


class _UserCode(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    device: str


class CodesStore:
    """Rows of pending codes, and of known networks, in the table ``sessions``."""

    def __init__(self, table: str) -> None:
        self._rows = SessionRows(table)

    # ----------------------------------------------------------------------------------------- devices

    def add_device(self, request: DeviceRequest, user_code_digest: str) -> None:
        """Store a device's request, to be found by either code. The table refuses a user code in use."""
        self._rows.put(
            f"user_code#{user_code_digest}", _UserCode(id=user_code_digest, device=request.id), request.expires_at
        )
        self._rows.put(f"device#{request.id}", request, request.expires_at)

    def device(self, device_id: str) -> DeviceRequest | None:
        """Return a device's request."""
        return self._rows.get(f"device#{device_id}", DeviceRequest)

    def device_of_user_code(self, digest: str) -> DeviceRequest | None:
        """Return the request with a user code."""
        user_code = self._rows.get(f"user_code#{digest}", _UserCode)
        return self.device(user_code.device) if user_code else None

    def note_poll(self, device_id: str, at: int, interval: int) -> None:
        """Record the time of a device's poll (milliseconds) and its interval from now on (seconds)."""
        self._rows.update(f"device#{device_id}", {"polled_at": at, "interval": interval}, "")

    def settle_device(
        self, device_id: str, state: DeviceState, account_id: AccountId, workspace_id: WorkspaceId
    ) -> bool:
        """Settle a pending request; False when it is already settled."""
        values = {"state": state.value, "account_id": account_id, "workspace_id": workspace_id}
        return self._rows.update(f"device#{device_id}", values, "#state = :was", {"was": DeviceState.PENDING.value})

    def use_device(self, device_id: str) -> bool:
        """Mark an approved request as used; False when it is not approved, or already used."""
        values = {"state": DeviceState.USED.value}
        return self._rows.update(f"device#{device_id}", values, "#state = :was", {"was": DeviceState.APPROVED.value})

    # ----------------------------------------------------------------------------- authorization codes

    def add_code(self, code: AuthorizationCode) -> None:
        """Store an authorization code."""
        self._rows.put(f"code#{code.id}", code, code.expires_at)

    def code(self, code_id: str) -> AuthorizationCode | None:
        """Return an authorization code, including one that was exchanged."""
        return self._rows.get(f"code#{code_id}", AuthorizationCode)

    def exchange_code(self, code_id: str, session_id: SessionId) -> bool:
        """Record the session that a code is exchanged for; False when it was exchanged before."""
        return self._rows.update(f"code#{code_id}", {"session_id": session_id}, "attribute_not_exists(#session_id)")

    # ----------------------------------------------------------------------------------------- sign-ins

    def add_state(self, state: LoginState) -> None:
        """Store a sign-in that continues at a provider."""
        self._rows.put(f"state#{state.id}", state, state.expires_at)

    def take_state(self, state_id: str) -> LoginState | None:
        """Return and remove a sign-in that returns from its provider, so that it is found once."""
        return self._rows.take(f"state#{state_id}", LoginState)

    def add_challenge(self, challenge: Challenge) -> None:
        """Store the challenge of an e-mail code."""
        self._rows.put(f"challenge#{challenge.id}", challenge, challenge.expires_at)

    def challenge(self, challenge_id: str) -> Challenge | None:
        """Return the challenge of an e-mail code."""
        return self._rows.get(f"challenge#{challenge_id}", Challenge)

    def attempt(self, challenge: Challenge, limit: int) -> bool:
        """Count an attempt at a code before the code is checked; False when no attempts remain."""
        values = {"attempts": challenge.attempts + 1}
        # Only one of several parallel attempts can raise the same count.
        expected = {"was": challenge.attempts, "limit": limit}
        return self._rows.update(f"challenge#{challenge.id}", values, "#attempts = :was AND :was < :limit", expected)

    def note_network(self, network_id: str, expires_at: int) -> None:
        """Remember the network of a sign-in, or remember it for longer."""
        known = KnownNetwork(id=network_id, expires_at=expires_at)
        self._rows.put(f"network#{network_id}", known, expires_at, new=False)

    def network(self, network_id: str) -> KnownNetwork | None:
        """Return a remembered network."""
        return self._rows.get(f"network#{network_id}", KnownNetwork)

    def take_challenge(self, challenge_id: str) -> Challenge | None:
        """Return and remove an answered challenge, so that it is found once."""
        return self._rows.take(f"challenge#{challenge_id}", Challenge)
