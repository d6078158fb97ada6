"""The session id is the capability: the secret derives from it, and stored data yields neither."""

from __future__ import annotations

import msgspec
import pytest
from cryptography.exceptions import InvalidTag

from opencode_cloud.contracts.ids import ClientSessionId, ShareId
from opencode_cloud.sharing.models import Position, Share, State
from opencode_cloud.sharing.protocol import capability

KEY = "deployment key"
SESSION = ClientSessionId("ses_dfa12facaffe9CT4lEoCRhKTNh")


def share(share_id: str = "s" * 22) -> tuple[Share, str]:
    secret = capability.share_secret(KEY, ShareId(share_id), SESSION)
    row = Share(
        id=ShareId(share_id),
        state=State.ACTIVE,
        session_hash=capability.session_hash(KEY, SESSION),
        secret_hash=capability.secret_hash(secret),
        sealed_session=capability.seal(secret, ShareId(share_id), SESSION),
        pseudonym="ses_x",
        created_at=1,
        hint=Position(),
    )
    return row, secret


def test_the_same_session_and_share_have_the_same_secret_every_time() -> None:
    assert share()[1] == share()[1]


def test_another_share_of_the_session_has_another_secret() -> None:
    assert share("a" * 22)[1] != share("b" * 22)[1]


def test_only_the_secret_opens_the_share() -> None:
    row, secret = share()
    assert capability.is_secret_of(row, secret)
    assert not capability.is_secret_of(row, secret[:-1])
    assert not capability.is_secret_of(row, "")


def test_the_secret_unseals_the_session_id() -> None:
    row, secret = share()
    assert capability.unseal(secret, row) == SESSION


def test_a_sealed_session_id_cannot_be_moved_to_another_share() -> None:
    row, secret = share()
    with pytest.raises(InvalidTag):
        capability.unseal(secret, msgspec.structs.replace(row, id="z" * 22))


def test_a_row_contains_neither_session_id_nor_secret() -> None:
    row, secret = share()
    stored = repr(msgspec.to_builtins(row)).encode() + row.secret_hash + row.sealed_session
    assert SESSION.encode() not in stored
    assert secret.encode() not in stored
