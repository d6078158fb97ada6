"""What is on its way: device requests, authorization codes, sign-ins at providers, e-mail codes."""

from __future__ import annotations

import msgspec

from opencode_cloud.contracts.ids import AccountId, SessionId
from opencode_cloud.identity.models import AuthorizationCode, Challenge, DeviceRequest, DeviceState, LoginState
from opencode_cloud.identity.store.rows import Rows


class _UserCode(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    device: str


class CodesStore:
    """Rows ``device#``, ``user_code#``, ``code#``, ``state#`` and ``challenge#`` of the table ``sessions``."""

    def __init__(self, table: str) -> None:
        self._rows = Rows(table)

    # ----------------------------------------------------------------------------------------- devices

    def add_device(self, request: DeviceRequest, user_code_digest: str) -> None:
        """Keep a device's request, to be found by either code. A user code in use is refused by the table."""
        self._rows.put(
            f"user_code#{user_code_digest}", _UserCode(id=user_code_digest, device=request.id), request.expires_at
        )
        self._rows.put(f"device#{request.id}", request, request.expires_at)

    def device(self, device_id: str) -> DeviceRequest | None:
        """Return a device's request."""
        return self._rows.get(f"device#{device_id}", DeviceRequest)

    def device_of_user_code(self, digest: str) -> DeviceRequest | None:
        """Return the request with a user code."""
        found = self._rows.get(f"user_code#{digest}", _UserCode)
        return self.device(found.device) if found else None

    def note_poll(self, device_id: str, at: int, interval: int) -> None:
        """Note when a device polled (milliseconds), and its interval from now on (seconds)."""
        self._rows.update(f"device#{device_id}", {"polled_at": at, "interval": interval}, "")

    def settle_device(self, device_id: str, state: DeviceState, account_id: AccountId) -> bool:
        """Settle a pending request; False when it is settled already."""
        values = {"state": state.value, "account_id": account_id}
        return self._rows.update(f"device#{device_id}", values, "#state = :was", {"was": DeviceState.PENDING.value})

    def use_device(self, device_id: str) -> bool:
        """Mark an approved request as used; False when it is not approved, or used already."""
        values = {"state": DeviceState.USED.value}
        return self._rows.update(f"device#{device_id}", values, "#state = :was", {"was": DeviceState.APPROVED.value})

    # ----------------------------------------------------------------------------- authorization codes

    def add_code(self, code: AuthorizationCode) -> None:
        """Keep an authorization code."""
        self._rows.put(f"code#{code.id}", code, code.expires_at)

    def code(self, code_id: str) -> AuthorizationCode | None:
        """Return an authorization code, also one that was exchanged."""
        return self._rows.get(f"code#{code_id}", AuthorizationCode)

    def exchange_code(self, code_id: str, session_id: SessionId) -> bool:
        """Note the session that a code is exchanged for; False when it was exchanged before."""
        return self._rows.update(f"code#{code_id}", {"session_id": session_id}, "attribute_not_exists(#session_id)")

    # ----------------------------------------------------------------------------------------- sign-ins

    def add_state(self, state: LoginState) -> None:
        """Keep a sign-in that goes on at a provider."""
        self._rows.put(f"state#{state.id}", state, state.expires_at)

    def take_state(self, state_id: str) -> LoginState | None:
        """Return a sign-in that came back from its provider, once."""
        return self._rows.take(f"state#{state_id}", LoginState)

    def add_challenge(self, challenge: Challenge) -> None:
        """Keep what an e-mail code was sent for."""
        self._rows.put(f"challenge#{challenge.id}", challenge, challenge.expires_at)

    def challenge(self, challenge_id: str) -> Challenge | None:
        """Return what an e-mail code was sent for."""
        return self._rows.get(f"challenge#{challenge_id}", Challenge)

    def attempt(self, challenge: Challenge, limit: int) -> bool:
        """Count an attempt at a code before it is looked at; False when there are none left."""
        values = {"attempts": challenge.attempts + 1}
        expected = {"was": challenge.attempts, "limit": limit}
        return self._rows.update(f"challenge#{challenge.id}", values, "#attempts = :was AND :was < :limit", expected)

    def take_challenge(self, challenge_id: str) -> Challenge | None:
        """Return a challenge that was met, once."""
        return self._rows.take(f"challenge#{challenge_id}", Challenge)
