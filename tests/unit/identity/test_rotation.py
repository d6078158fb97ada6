"""Refresh tokens as a state machine: processes of a client and a thief, in any order, with passing time.

The rules are the subject, so the store is a dictionary and the test sets the clock. tests/emulator has the real store.
"""

from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from opencode_cloud.contracts.ids import AccountId, SessionId
from opencode_cloud.identity.models import Session
from opencode_cloud.identity.service import refresh, sessions
from opencode_cloud.identity.service.refresh import GRACE_SECONDS, RefreshTokens
from opencode_cloud.identity.service.sessions import Origin, Sessions
from opencode_cloud.identity.service.tokens import AccessTokens
from tests.unit.identity.signing import KeysInMemory

KEYS = KeysInMemory("only")
HERE = Origin("198.51.100.7", "test")


class Store:
    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.ended: set[str] = set()

    def add(self, session: Session) -> None:
        self.sessions[session.id] = session

    def get(self, session_id: str) -> Session | None:
        return None if session_id in self.ended else self.sessions.get(session_id)

    def end(self, session_id: str) -> None:
        self.ended.add(session_id)

    def rotate(self, session: Session, presented: str, successor: str, expires_at: int) -> bool:
        present = self.sessions[session.id]
        if session.id in self.ended or present.refresh != presented:
            return False
        change: dict[str, Any] = {"refresh": successor, "previous": presented, "expires_at": expires_at}
        self.sessions[session.id] = msgspec.structs.replace(present, rotated_at=sessions.now_seconds(), **change)
        return True


class Rotation(RuleBasedStateMachine):
    """`chain` holds the expected tokens in order. `at` holds the time of each rotation."""

    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(sessions, "now_seconds", lambda: self.now)
        self.store = Store()
        access = AccessTokens(KEYS)  # pyright: ignore[reportArgumentType]
        self.service = Sessions(self.store, access, lambda: "key")  # pyright: ignore[reportArgumentType]

    def teardown(self) -> None:
        self.patch.undo()

    @initialize(target=tokens)
    def log_in(self) -> str:
        issued = self.service.begin_device("https://cloud.example", "opencode-cli", AccountId("acc_1"), HERE)
        self.session = issued.session_id
        self.chain = [issued.refresh_token]
        self.rotated_at = self.now
        self.alive = True
        return issued.refresh_token

    @rule(seconds=st.sampled_from([1, GRACE_SECONDS // 2, GRACE_SECONDS, GRACE_SECONDS + 1]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(target=tokens, token=tokens)
    def present(self, token: str) -> str:
        place = self.chain.index(token)
        recent = self.now - self.rotated_at <= GRACE_SECONDS
        issued = self.service.refresh("https://cloud.example", token)
        if self.alive and place == len(self.chain) - 1:
            assert issued
            assert issued.refresh_token not in self.chain
            self.chain.append(issued.refresh_token)
            self.rotated_at = self.now
            return issued.refresh_token
        if self.alive and place == len(self.chain) - 2 and recent:
            assert issued
            assert issued.refresh_token == self.chain[-1]
            return issued.refresh_token
        assert issued is None
        self.alive = False
        return token

    @rule(token=tokens, place=st.integers(0, 97), letter=st.sampled_from("AZaz09-_"))
    def make_something_up(self, token: str, place: int, letter: str) -> None:
        made_up = token[:place] + letter + token[place + 1 :]
        if made_up not in self.chain:
            assert self.service.refresh("https://cloud.example", made_up) is None

    @invariant()
    def the_session_stands_unless_a_token_came_back(self) -> None:
        assert (self.store.get(self.session) is not None) is self.alive

    @invariant()
    def the_store_holds_no_token(self) -> None:
        kept = str(msgspec.to_builtins(self.store.sessions[self.session]))
        assert not any(token in kept for token in self.chain)


TestRotation = Rotation.TestCase


def test_a_token_is_written_for_one_session_with_one_key() -> None:
    ours, others = RefreshTokens(lambda: "key"), RefreshTokens(lambda: "another key")
    token = ours.first(SessionId("sid_01KB0000000000000000000000"))
    assert ours.session(token) == "sid_01KB0000000000000000000000"
    assert others.session(token) is None
    assert ours.session(token.replace("01KB0", "01KC0")) is None
    assert ours.successor(token) == ours.successor(token) != others.successor(token)
    with pytest.raises(ValueError, match="did not issue the token"):
        ours.successor("nonsense")


def test_what_is_stored_of_a_token_is_its_hash() -> None:
    assert refresh.hash_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
