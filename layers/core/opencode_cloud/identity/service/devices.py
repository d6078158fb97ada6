"""Devices that request access, by a code that a person compares and approves in a browser (RFC 8628)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.identity.models import DeviceRequest, DeviceState
from opencode_cloud.identity.service.refresh import hash_of
from opencode_cloud.identity.service.sessions import Origin
from opencode_cloud.kit.clock import now_ms, now_seconds
from opencode_cloud.kit.derived_secrets import derive
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.kit.ids import base64url
from opencode_cloud.kit.typed_codes import typed_code

if TYPE_CHECKING:
    from opencode_cloud.identity.store.codes import CodesStore

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""The letters of user codes: no vowels, so no words, and no characters that look alike."""
CODE_LETTERS = 8
"""The number of letters: 34 bits. With the limits on entries, a guess succeeds once in a million codes' lifetimes."""
EXPIRES_SECONDS = 600
INTERVAL_SECONDS = 2
SLOWER_SECONDS = 5
"""Seconds added to the interval of a client that polls too fast (RFC 8628, 3.5)."""
_EARLY_MS = 500  # tolerance of early polls: clocks and networks jitter
_SHOWN = 300


def unknown_code() -> NotFound:
    """Return the error for a code that is mistyped, expired or settled, which are deliberately indistinguishable."""
    return NotFound("unknown_code", "No device waits with this code. Compare it, or begin again on the device.")


class Devices:
    """The rules of device requests."""

    def __init__(self, store: CodesStore, key: Callable[[], str]) -> None:
        self._store = store
        self._key = key

    def begin(
        self, client: str, device_code: str, user_code: str, origin: Origin, *, wants_workspace: bool = False
    ) -> None:
        """Store a client's request until a person settles it.

        ``wants_workspace``: the client understands that the person chooses a workspace for it.
        """
        now = now_seconds()
        request = DeviceRequest(
            id=hash_of(device_code),
            client=client,
            state=DeviceState.PENDING,
            interval=INTERVAL_SECONDS,
            created_at=now,
            expires_at=now + EXPIRES_SECONDS,
            address=origin.address,
            user_agent=origin.user_agent[:_SHOWN],
            wants_workspace=wants_workspace,
            through_edge=origin.through_edge,
        )
        self._store.add_device(request, self._digest(user_code))

    def of_device_code(self, device_code: str) -> DeviceRequest | None:
        """Return the request of a polling client."""
        return self._store.device(hash_of(device_code))

    def of_user_code(self, user_code: str) -> DeviceRequest:
        """Return the pending request with the user code that a person typed. Raises ``unknown_code`` (404)."""
        request = self._store.device_of_user_code(self._digest(user_code))
        if request is None or request.state != DeviceState.PENDING or request.expires_at <= now_seconds():
            raise unknown_code()
        return request

    def settle(
        self, user_code: str, account_id: AccountId, *, approved: bool, workspace_id: WorkspaceId = WorkspaceId("")
    ) -> DeviceRequest:
        """Approve or deny the request with this code, once. Raises ``unknown_code`` (404).

        ``workspace_id`` is a workspace of the person, chosen for a client that wants one. The returned request has the
        state of before. A person who sends the same decision again, by a second click, gets the same answer.
        """
        state = DeviceState.APPROVED if approved else DeviceState.DENIED
        request = self._store.device_of_user_code(self._digest(user_code))
        if request is None or request.expires_at <= now_seconds():
            raise unknown_code()
        if request.state == DeviceState.PENDING and self._store.settle_device(
            request.id, state, account_id, workspace_id
        ):
            return request
        settled = self._store.device(request.id)
        if settled is None or not _is_settled_by(settled, state, account_id, workspace_id):
            raise unknown_code()
        return settled

    def polls_too_fast(self, request: DeviceRequest) -> bool:
        """Record a poll and tell whether it came before the interval was over. An early poll increases the interval."""
        now = now_ms()
        too_fast = now - request.polled_at < request.interval * 1000 - _EARLY_MS
        self._store.note_poll(request.id, now, request.interval + (SLOWER_SECONDS if too_fast else 0))
        return too_fast

    def use(self, request: DeviceRequest) -> bool:
        """Mark an approved request as exchanged for a session. Return False if it was exchanged before."""
        return self._store.use_device(request.id)

    def _digest(self, user_code: str) -> str:
        """Return the stored form of a user code. It is keyed, since the code is too short for a plain hash."""
        return base64url(derive(self._key(), "user-code", normal_user_code(user_code)))


def _is_settled_by(
    request: DeviceRequest, state: DeviceState, account_id: AccountId, workspace_id: WorkspaceId
) -> bool:
    """Tell whether the person has made this decision on a request."""
    decided = DeviceState.APPROVED if request.state == DeviceState.USED else request.state
    return (decided, request.account_id, request.workspace_id) == (state, account_id, workspace_id)


def new_user_code() -> str:
    """Return a code in the form that people are shown, such as ``BCDF-GHJK``."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(CODE_LETTERS))
    return f"{letters[:4]}-{letters[4:]}"


def normal_user_code(typed: str) -> str:
    """Return the letters of a code, regardless of how a person typed it."""
    return typed_code(typed)[: 4 * CODE_LETTERS]


def shown_user_code(typed: str) -> str:
    """Return a typed code in the form that the device shows."""
    letters = normal_user_code(typed)
    return f"{letters[:4]}-{letters[4:]}"
