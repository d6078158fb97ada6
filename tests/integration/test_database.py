"""Connections of the console plane: TLS, a paused server, a failover, and a lock conflict."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore import auth
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from infra import packaging
from local.database import OWNER, LocalDatabase
from local.processes import free_port
from opencode_cloud.kit import aws
from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.sql import Database
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
INSERT = text("INSERT INTO notes (id) VALUES (:id)")


@pytest.fixture(scope="module")
def _started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDatabase]:
    server = LocalDatabase(tmp_path_factory.mktemp("server"), ROOT)
    server.start()
    with Database(server.access.url(OWNER)).transaction() as connection:
        connection.execute(text("CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(20)) ENGINE=InnoDB"))
    yield server
    server.stop()


@pytest.fixture
def server(_started: LocalDatabase) -> LocalDatabase:
    """Return a server of this module, which a test can stop and start, with an empty table."""
    with Database(_started.access.url()).transaction() as connection:
        connection.execute(text("DELETE FROM notes"))
    return _started


def _count(database: Database) -> int:
    with database.transaction() as connection:
        return connection.execute(text("SELECT COUNT(*) FROM notes")).scalar_one()


def test_a_database_that_sleeps_is_waited_for(server: LocalDatabase) -> None:
    database = Database(server.access.url(), wait_seconds=PATIENCE)
    server.stop()
    waking = threading.Timer(1, server.start)
    waking.start()
    assert _count(database) == 0
    waking.join()


def test_who_has_no_time_left_is_told_when_to_come_again() -> None:
    database = Database(f"mysql+pymysql://a:b@127.0.0.1:{free_port()}/c", wait_seconds=0.3)
    with pytest.raises(Unavailable) as raised, database.transaction():
        pass
    assert (raised.value.code, raised.value.status) == ("database_resuming", 503)
    assert raised.value.retry_after


def test_a_wrong_password_is_not_waited_for(server: LocalDatabase) -> None:
    database = Database(
        f"mysql+pymysql://console:wrong@127.0.0.1:{server.access.port}/opencode_cloud?ssl_disabled=true"
    )
    with pytest.raises(OperationalError, match="Access denied"), database.transaction():
        pass


def test_a_kept_connection_outlives_a_crash_of_the_server(server: LocalDatabase) -> None:
    database = Database(server.access.url())
    with database.transaction() as connection:
        connection.execute(INSERT, {"id": 1})
    server.kill()
    server.start()
    assert _count(database) == 1


def test_a_connection_lost_in_the_middle_says_so_and_the_next_works(server: LocalDatabase) -> None:
    database, other = Database(server.access.url()), Database(server.access.url())
    with pytest.raises(Unavailable) as raised, database.transaction() as connection:  # noqa: PT012 - what is raised late
        connection.execute(INSERT, {"id": 1})
        number = connection.execute(text("SELECT CONNECTION_ID()")).scalar_one()
        with other.transaction() as killer:
            killer.execute(text(f"KILL {number}"))
        connection.execute(INSERT, {"id": 2})
    assert raised.value.code == "database_interrupted"
    assert _count(database) == 0


def test_a_writer_that_became_a_reader_is_left(server: LocalDatabase) -> None:
    database = Database(server.access.url())
    server.stop()
    server.start("--read-only=ON")
    assert _count(database) == 0
    with pytest.raises(Unavailable) as raised, database.transaction() as connection:
        connection.execute(INSERT, {"id": 1})
    assert raised.value.code == "database_interrupted"
    server.stop()
    server.start()
    with database.transaction() as connection:
        connection.execute(INSERT, {"id": 1})
    assert _count(database) == 1


def test_two_who_wait_for_each_other_are_told_to_try_again(server: LocalDatabase) -> None:
    database = Database(server.access.url())
    with database.transaction() as connection:
        connection.execute(INSERT, [{"id": 1}, {"id": 2}])
    update = text("UPDATE notes SET text = 'x' WHERE id = :id")
    both, codes = threading.Barrier(2), list[str]()

    def change(first: int, second: int) -> None:
        try:
            with database.transaction() as connection:
                connection.execute(update, {"id": first})
                both.wait(PATIENCE)
                connection.execute(update, {"id": second})
        except Unavailable as error:
            codes.append(error.code)

    threads = [threading.Thread(target=change, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == ["database_busy"]


def _authority(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return _certificate(named, named, key, key, x509.BasicConstraints(ca=True, path_length=0)), key


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    return builder.add_extension(extension, critical=False).sign(signer, hashes.SHA256())


def test_connections_are_encrypted_and_only_a_known_authority_s_server_is_spoken_to(
    server: LocalDatabase, tmp_path: Path
) -> None:
    authority, signer = _authority("ours")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = _certificate(name, authority.subject, key, signer, alternative)
    (tmp_path / "server.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "server.key").write_bytes(pem)
    server.stop()
    server.start(f"--ssl-cert={tmp_path / 'server.pem'}", f"--ssl-key={tmp_path / 'server.key'}")

    def connect(trusted: x509.Certificate) -> str:
        context = ssl.create_default_context(cadata=trusted.public_bytes(Encoding.PEM).decode())
        url = server.access.url().replace("ssl_disabled=true", "")
        database = Database(url, credentials=lambda: {"ssl": context}, wait_seconds=0)
        with database.transaction() as connection:
            return connection.execute(text("SHOW SESSION STATUS LIKE 'Ssl_version'")).one()[1]

    assert connect(authority).startswith("TLSv1.")
    stranger, _ = _authority("stranger")
    with pytest.raises(Unavailable):
        connect(stranger)


def test_the_bundle_of_rds_holds_the_authorities_of_all_regions() -> None:
    bundle = x509.load_pem_x509_certificates(packaging.rds_certificates().encode())
    names = [certificate.subject.rfc4514_string() for certificate in bundle]
    for region in ("us-east-1", "eu-central-1", "ap-northeast-1", "sa-east-1"):
        assert any(f"Amazon RDS {region} Root CA RSA2048 G1" in name for name in names)
    ssl.create_default_context().load_verify_locations(cadata=packaging.rds_certificates())


def test_tokens_are_those_of_aws_s_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "AKIAEXAMPLE", "SECRET_ACCESS_KEY": "s/e+c", "SESSION_TOKEN": "t/o=k"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_REGION", raising=False)
    credential_source().renew()
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    monkeypatch.setattr(auth, "get_current_datetime", lambda *_: moment.replace(tzinfo=None), raising=False)
    client: Any = boto3.session.Session().client("rds")
    host = "opencode.cluster-abc.eu-central-1.rds.amazonaws.com"
    theirs = client.generate_db_auth_token(DBHostname=host, Port=3306, DBUsername="console")
    monkeypatch.setattr("opencode_cloud.kit.aws.time.time", moment.timestamp)
    ours = aws.database_token(host, 3306, "console")
    assert (urlsplit(f"//{ours}").netloc, parse_qs(ours.partition("?")[2])) == (
        f"{host}:3306",
        parse_qs(theirs.partition("?")[2]),
    )
