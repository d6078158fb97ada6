"""Rows of the table ``sessions``: read as written, ended for good, and used once where required."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from opencode_cloud.contracts.ids import AccountId, SessionId, WorkspaceId
from opencode_cloud.identity.models import (
    AuthorizationCode,
    Challenge,
    DeviceRequest,
    DeviceState,
    LoginState,
    Session,
)
from opencode_cloud.identity.store.codes import CodesStore
from opencode_cloud.identity.store.keys import SigningKeys, key_id
from opencode_cloud.identity.store.rows import KEPT_SECONDS, SessionRows
from opencode_cloud.identity.store.sessions import SessionsStore
from opencode_cloud.kit import kms_signing
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.dynamodb import ConditionFailed
from tests.unit.aws import Cloud, by_boto3

SOON = now_seconds() + 86_400
SESSION = Session(
    id=SessionId("sid_1"),
    account_id=AccountId("acc_1"),
    kind="device",
    client="opencode-cli",
    created_at=1,
    seen_at=2,
    expires_at=SOON,
    address="192.0.2.1",
    user_agent="opencode",
    refresh="hash-1",
)
DEVICE = DeviceRequest(
    id="hash",
    client="opencode-cli",
    state="pending",
    interval=5,
    created_at=1,
    expires_at=SOON,
    address="192.0.2.1",
    user_agent="opencode",
)
CODE = AuthorizationCode(
    id="hash",
    client="cli",
    redirect_uri="http://127.0.0.1/",
    challenge="c",
    account_id=AccountId("acc_1"),
    expires_at=SOON,
)
STATE = LoginState(id="hash", provider="github", browser="b", proceed="/console", expires_at=SOON)
CHALLENGE = Challenge(id="chl_1", email="ada@example.com", browser="b", proceed="/", attempts=0, expires_at=SOON)


def altered(session: Session, **changes: object) -> Session:
    return msgspec.structs.replace(session, **changes)


@pytest.fixture
def sessions(cloud: Cloud) -> SessionsStore:
    return SessionsStore(cloud.table("sessions"))


@pytest.fixture
def codes(cloud: Cloud) -> CodesStore:
    return CodesStore(cloud.table("sessions"))


class TestSessions:
    def test_a_session_is_read_as_written(self, sessions: SessionsStore) -> None:
        sessions.add(SESSION)
        assert sessions.get(SessionId("sid_1")) == SESSION
        assert sessions.get(SessionId("sid_2")) is None

    def test_an_id_is_used_once(self, sessions: SessionsStore) -> None:
        sessions.add(SESSION)
        with pytest.raises(ConditionFailed):
            sessions.add(altered(SESSION, account_id="acc_2"))
        assert sessions.get(SessionId("sid_1")) == SESSION

    def test_the_row_outlives_the_session_by_a_week(self, cloud: Cloud, sessions: SessionsStore) -> None:
        sessions.add(SESSION)
        sessions.note_use(SESSION, SOON + 60)
        [row] = cloud.rows("sessions")
        assert (row["ttl"]["N"], row["expires_at"]["N"]) == (str(SOON + 60 + KEPT_SECONDS), str(SOON + 60))

    def test_an_ended_session_is_over_for_good(self, sessions: SessionsStore) -> None:
        sessions.add(SESSION)
        sessions.end(SessionId("sid_1"))
        sessions.note_use(SESSION, SOON + 60)
        assert not sessions.rotate(SESSION, "hash-1", "hash-2", SOON)
        assert sessions.get(SessionId("sid_1")) is None
        assert sessions.of_account(AccountId("acc_1")) == []

    def test_a_use_of_a_session_that_was_never_there_makes_none(self, sessions: SessionsStore) -> None:
        sessions.note_use(SESSION, SOON)
        assert sessions.get(SessionId("sid_1")) is None

    def test_a_refresh_token_is_replaced_once(self, sessions: SessionsStore) -> None:
        sessions.add(SESSION)
        assert sessions.rotate(SESSION, "hash-1", "hash-2", SOON)
        assert not sessions.rotate(SESSION, "hash-1", "hash-3", SOON)
        found = sessions.get(SessionId("sid_1"))
        assert found is not None
        assert (found.refresh, found.previous) == ("hash-2", "hash-1")

    def test_a_person_sees_what_is_alive_the_latest_use_first(self, sessions: SessionsStore) -> None:
        sessions.add(SESSION)
        sessions.add(altered(SESSION, id="sid_2", seen_at=9))
        sessions.add(altered(SESSION, id="sid_old", expires_at=now_seconds() - 1))
        sessions.add(altered(SESSION, id="sid_bob", account_id="acc_2"))
        sessions.add(altered(SESSION, id="sid_ended"))
        sessions.end(SessionId("sid_ended"))
        assert [each.id for each in sessions.of_account(AccountId("acc_1"))] == ["sid_2", "sid_1"]

    def test_many_sessions_come_whole_over_pages(self, sessions: SessionsStore) -> None:
        for number in range(4):
            sessions.add(altered(SESSION, id=f"sid_{number}", user_agent="x" * 300_000))
        assert len(sessions.of_account(AccountId("acc_1"))) == 4

    def test_all_sessions_of_a_person_end_and_no_others(self, sessions: SessionsStore) -> None:
        for number, account in enumerate(("acc_1", "acc_1", "acc_2")):
            sessions.add(altered(SESSION, id=f"sid_{number}", account_id=account))
        assert sessions.end_all(AccountId("acc_1")) == 2
        assert (sessions.get(SessionId("sid_0")), sessions.get(SessionId("sid_1"))) == (None, None)
        assert sessions.get(SessionId("sid_2")) is not None


class TestCodes:
    def test_a_device_is_found_by_either_code(self, codes: CodesStore) -> None:
        codes.add_device(DEVICE, "digest")
        assert codes.device("hash") == codes.device_of_user_code("digest") == DEVICE
        assert codes.device_of_user_code("other") is None

    def test_a_client_that_does_not_say_what_it_is_is_read_too(self, codes: CodesStore) -> None:
        silent = msgspec.structs.replace(DEVICE, address="", user_agent="")
        codes.add_device(silent, "digest")
        assert codes.device("hash") == silent

    def test_a_user_code_in_use_is_refused(self, codes: CodesStore) -> None:
        codes.add_device(DEVICE, "digest")
        with pytest.raises(ConditionFailed):
            codes.add_device(msgspec.structs.replace(DEVICE, id="other"), "digest")
        assert codes.device_of_user_code("digest") == DEVICE
        assert codes.device("other") is None

    def test_a_device_is_settled_once_and_used_once(self, codes: CodesStore) -> None:
        codes.add_device(DEVICE, "digest")
        assert not codes.use_device("hash")
        assert codes.settle_device("hash", DeviceState.APPROVED, AccountId("acc_1"), WorkspaceId("wrk_1"))
        assert not codes.settle_device("hash", DeviceState.DENIED, AccountId("acc_2"), WorkspaceId(""))
        assert codes.use_device("hash")
        assert not codes.use_device("hash")
        found = codes.device("hash")
        assert found is not None
        assert (found.state, found.account_id) == ("used", "acc_1")

    def test_a_denied_device_is_never_used(self, codes: CodesStore) -> None:
        codes.add_device(DEVICE, "digest")
        assert codes.settle_device("hash", DeviceState.DENIED, AccountId("acc_1"), WorkspaceId(""))
        assert not codes.use_device("hash")

    def test_polls_are_noted(self, codes: CodesStore) -> None:
        codes.add_device(DEVICE, "digest")
        codes.note_poll("hash", 1_234, 10)
        found = codes.device("hash")
        assert found is not None
        assert (found.polled_at, found.interval) == (1_234, 10)

    def test_an_authorization_code_is_exchanged_once(self, codes: CodesStore) -> None:
        codes.add_code(CODE)
        assert codes.code("hash") == CODE
        assert codes.exchange_code("hash", SessionId("sid_1"))
        assert not codes.exchange_code("hash", SessionId("sid_2"))
        assert codes.code("hash") == msgspec.structs.replace(CODE, session_id="sid_1")
        assert not codes.exchange_code("unknown", SessionId("sid_1"))

    def test_a_sign_in_comes_back_once(self, codes: CodesStore) -> None:
        codes.add_state(STATE)
        assert codes.take_state("hash") == STATE
        assert codes.take_state("hash") is None

    def test_a_challenge_is_met_once(self, codes: CodesStore) -> None:
        codes.add_challenge(CHALLENGE)
        assert codes.challenge("chl_1") == CHALLENGE
        assert codes.take_challenge("chl_1") == CHALLENGE
        assert codes.take_challenge("chl_1") is None

    def test_attempts_at_a_challenge_are_bounded(self, codes: CodesStore) -> None:
        codes.add_challenge(CHALLENGE)
        allowed = 0
        while (found := codes.challenge("chl_1")) is not None and codes.attempt(found, 3):
            allowed += 1
        assert allowed == 3

    def test_one_attempt_is_not_counted_as_two(self, codes: CodesStore) -> None:
        codes.add_challenge(CHALLENGE)
        assert codes.attempt(CHALLENGE, 3)
        assert not codes.attempt(CHALLENGE, 3), "it was read before the other attempt was counted"


class TestSigningKeys:
    @pytest.fixture
    def arns(self, cloud: Cloud) -> list[str]:
        cloud.table("sessions")
        kms_signing.public_key.cache_clear()
        usage = {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}
        client: Any = by_boto3("kms")
        return [client.create_key(**usage)["KeyMetadata"]["Arn"] for _ in range(2)]

    def test_the_first_key_signs_until_another_is_activated(self, arns: list[str]) -> None:
        keys = SigningKeys(arns, "sessions")
        first, second = map(key_id, arns)
        assert (keys.ids, keys.active()) == ([first, second], first)
        keys.activate(second)
        assert keys.active() == second
        assert SigningKeys(arns, "sessions").active() == second
        with pytest.raises(KeyError):
            keys.activate("unknown")

    def test_a_key_that_the_deployment_has_lost_does_not_sign(self, arns: list[str]) -> None:
        SigningKeys(arns, "sessions").activate(key_id(arns[1]))
        assert SigningKeys(arns[:1], "sessions").active() == key_id(arns[0])

    def test_the_public_half_of_each_key_is_known(self, arns: list[str]) -> None:
        keys = SigningKeys(arns, "sessions")
        public = load_der_public_key(keys.public(key_id(arns[1])) or b"")
        assert isinstance(public, rsa.RSAPublicKey)
        assert keys.public(key_id(arns[1])) != keys.public(key_id(arns[0]))
        assert keys.public("unknown") is None


@pytest.mark.parametrize("model", [SESSION, DEVICE, CODE, STATE, CHALLENGE], ids=lambda model: type(model).__name__)
def test_an_empty_text_is_read_as_it_was_written(cloud: Cloud, model: msgspec.Struct) -> None:
    """Clients may leave out a header, such as User-Agent, and what is stored must be readable all the same."""
    texts = {field: "" for field, value in msgspec.structs.asdict(model).items() if isinstance(value, str)}
    texts.pop("account_id", None)  # the key of an index
    blank = msgspec.structs.replace(model, **texts | {"id": "hash"})
    rows = SessionRows(cloud.table("sessions"))
    rows.put("row#hash", blank, SOON)
    assert rows.get("row#hash", type(blank)) == blank


def test_a_key_that_no_row_can_have_is_not_found(cloud: Cloud) -> None:
    rows = SessionRows(cloud.table("sessions"))
    for key in ("challenge#" + "A" * 3000, "challenge#" + "ä" * 1500):
        assert rows.get(key, Challenge) is None
        assert rows.take(key, Challenge) is None
        assert not rows.update(key, {"attempts": 1}, "")
