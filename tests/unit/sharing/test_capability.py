"""A share belongs to its publisher and its session: its secret proves both, and stored data yields neither."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os

import msgspec
import pytest
from cryptography.exceptions import InvalidTag

from opencode_cloud.contracts.ids import ClientSessionId, ShareId, WorkspaceId
from opencode_cloud.kit.errors import Forbidden, Unauthorized
from opencode_cloud.kit.ids import base64url
from opencode_cloud.sharing.models import Position, Share, State
from opencode_cloud.sharing.protocol import capability
from opencode_cloud.sharing.protocol.capability import SealedSession, network_publisher, owner_publisher
from opencode_cloud.sharing.protocol.ids import new_share_id

KEY = "deployment key"
SESSION = ClientSessionId("ses_dfa12facaffe9CT4lEoCRhKTNh")
SHARE = ShareId("s" * 22)
ADA = owner_publisher(WorkspaceId("wrk_1"), "acc_ada")
PUBLISHERS = [
    ADA,
    owner_publisher(WorkspaceId("wrk_1"), "acc_bob"),
    owner_publisher(WorkspaceId("wrk_2"), "acc_ada"),
    network_publisher("192.0.2.1"),
    network_publisher("192.0.2.2"),
    network_publisher("unknown"),
]
SEALED = SealedSession(SESSION, capability.pseudonym_key(KEY))


def share(share_id: ShareId = SHARE) -> tuple[Share, str]:
    secret = capability.share_secret(KEY, ADA, share_id, SESSION)
    row = Share(
        id=share_id,
        state=State.ACTIVE,
        session_hash=capability.session_hash(KEY, ADA, SESSION),
        secret_hash=capability.secret_hash(secret),
        sealed_session=capability.seal(secret, share_id, SEALED),
        pseudonym="ses_x",
        created_at=1,
        hint=Position(),
    )
    return row, secret


def test_a_publisher_gets_the_same_secret_every_time() -> None:
    assert share()[1] == share()[1]


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(PUBLISHERS, 2)))
def test_two_publishers_of_a_session_share_neither_its_name_nor_its_secret(
    one: capability.Publisher, other: capability.Publisher
) -> None:
    assert capability.session_hash(KEY, one, SESSION) != capability.session_hash(KEY, other, SESSION)
    first, second = (capability.share_secret(KEY, each, SHARE, SESSION) for each in (one, other))
    assert first != second


def test_another_share_of_the_session_has_another_secret() -> None:
    assert share(ShareId("a" * 22))[1] != share(ShareId("b" * 22))[1]


def test_a_link_is_128_random_bits_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def token_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    assert new_share_id() != new_share_id()
    monkeypatch.setattr(os, "urandom", token_bytes)
    assert new_share_id() == base64url(bytes(range(16)))
    assert asked == [16]


def test_a_secret_has_256_bits_and_is_stored_as_its_hash() -> None:
    row, secret = share()
    proof = base64.urlsafe_b64decode(secret.removeprefix(f"shs_{SHARE}") + "=")
    assert len(proof) == 32
    assert row.secret_hash == hashlib.sha256(secret.encode()).digest()


def test_a_secret_names_its_share() -> None:
    share_id = ShareId(new_share_id())
    assert capability.share_of(share(share_id)[1]) == share_id


@pytest.mark.parametrize(
    ("secret", "error"),
    [("", Unauthorized), ("wrong", Forbidden), ("shs_" + "x" * 66, Forbidden), ("x" * 69, Forbidden)],
)
def test_a_text_of_another_form_is_no_secret(secret: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        capability.share_of(secret)


def test_only_the_secret_opens_the_share() -> None:
    row, secret = share()
    assert capability.is_secret_of(row, secret)
    assert not capability.is_secret_of(row, secret[:-1])
    assert not capability.is_secret_of(row, "")


def test_the_secret_unseals_the_session_id_and_the_key_of_pseudonyms() -> None:
    row, secret = share()
    assert capability.unseal(secret, row) == SEALED


def test_a_sealed_session_cannot_be_moved_to_another_share() -> None:
    row, secret = share()
    with pytest.raises(InvalidTag):
        capability.unseal(secret, msgspec.structs.replace(row, id="z" * 22))


def test_a_row_contains_neither_session_id_nor_secret_nor_the_key_of_pseudonyms() -> None:
    row, secret = share()
    stored = repr(msgspec.to_builtins(row)).encode() + row.secret_hash + row.sealed_session
    for needle in (SESSION.encode(), secret.encode(), SEALED.pseudonym_key):
        assert needle not in stored
