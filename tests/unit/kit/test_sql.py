"""Access of a migration to the database, before anything answers."""

import json

import pytest

from opencode_cloud.kit import aws, sql
from opencode_cloud.kit.aws_api.errors import AwsUnreachable
from opencode_cloud.kit.sql import DatabaseOwnerSettings, connect_as_owner

SETTINGS = DatabaseOwnerSettings(
    database_host="proxy",
    database_name="opencode_cloud",
    database_user="console",
    database_auth="iam",
    database_owner_host="cluster",
    database_owner_secret="arn:secret",
)


@pytest.fixture(autouse=True)
def no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do without the certificates, which the deployment puts into the library's layer."""
    monkeypatch.setattr(sql, "tls_context", lambda: None)


class NewNetwork:
    """Secrets Manager behind a network that is not there for the first attempts."""

    def __init__(self, failures: int) -> None:
        self.attempts = 0
        self._failures = failures

    def secret(self, arn: str) -> str:
        assert arn == "arn:secret"
        self.attempts += 1
        if self.attempts <= self._failures:
            raise AwsUnreachable("no route")
        return json.dumps({"username": "owner", "password": "p"})


def test_a_migration_waits_for_a_network_that_is_younger_than_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    network = NewNetwork(failures=1)
    monkeypatch.setattr(aws, "secret", network.secret)
    database = connect_as_owner(SETTINGS, 30)
    assert network.attempts == 2
    assert database.engine.url.username == "owner"


def test_a_migration_gives_up_when_the_network_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    network = NewNetwork(failures=100)
    monkeypatch.setattr(aws, "secret", network.secret)
    with pytest.raises(AwsUnreachable, match="no route"):
        connect_as_owner(SETTINGS, 0.1)


def test_statements_of_a_migration_have_no_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "secret", NewNetwork(failures=0).secret)
    asked: list[object] = []
    real = sql.create_engine
    monkeypatch.setattr(sql, "create_engine", lambda *a, **o: (asked.append(o["connect_args"]), real(*a, **o))[1])
    assert connect_as_owner(SETTINGS, 1).engine
    assert asked == [{"connect_timeout": sql.CONNECT_SECONDS, "read_timeout": None, "write_timeout": None}]
