"""MySQL through SQLAlchemy Core: one engine per execution environment, transactions, and recovery of connections.

Only the subset that MariaDB 10.11 and MySQL 8 share (docs/operate.md, "SQL").
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated, Any, Literal

from sqlalchemy import URL, Column, Connection, Dialect, Engine, MetaData, String, Table, create_engine, event
from sqlalchemy.dialects.mysql import BINARY, DATETIME, VARBINARY
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import SchemaItem

from opencode_cloud.kit import aws
from opencode_cloud.kit.aws_api.errors import AwsUnreachable
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.mail_addresses import canonical_address
from opencode_cloud.kit.retry import Backoff, retry
from opencode_cloud.kit.settings import FunctionSettings, variables

CERTIFICATES = Path(__file__).parent.parent / "_certificates" / "rds.pem"
"""Certificates of RDS's authorities of all regions; infra/packaging.py writes the file."""

CONNECT_SECONDS = 5
READ_SECONDS = 25
"""Less than the time that an HTTP API waits. Our statements take less than a second."""

RESUME_SECONDS = 10
AWAY = frozenset({1040, 1053, 1077, 1080, 1152, 1158, 1159, 1160, 1161, 2002, 2003, 2006, 2013})
"""Codes of a server that accepts no connections now: full, starting, stopping, unreachable."""

READ_ONLY = frozenset({1290, 1792, 1836})
CONFLICTS = frozenset({1205, 1213})
"""Codes of a lock wait timeout and a deadlock."""

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
__all__ = [
    "Bytes",
    "Connection",
    "Database",
    "DatabaseOwnerSettings",
    "DatabaseSettings",
    "Digest",
    "Engine",
    "Id",
    "Moment",
    "address_column",
    "connect",
    "connect_as_owner",
    "id_column",
    "metadata",
    "table",
    "utc_now",
]

metadata = MetaData(naming_convention=NAMES)
"""All tables of all features; each feature's ``store`` adds its own."""

Id = String(30, collation="utf8mb4_bin")
"""Type of our ids, compared byte by byte."""

Moment = DATETIME(fsp=6)
"""Type of a UTC time in microseconds. In Python it is naive: use :func:`utc_now`."""


Digest = BINARY(32)
"""Type of a SHA-256. Not LargeBinary, which is a BLOB, and MySQL indexes a BLOB only with a length."""

Bytes = VARBINARY
"""Type of a bounded number of bytes: ``Bytes(1024)``."""


def table(name: str, *contents: SchemaItem) -> Table:
    """Return a table with InnoDB, all of Unicode, and text comparison without regard to case."""
    return Table(
        name,
        metadata,
        *contents,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
    )


def id_column(name: str = "id", *rest: Any, **options: Any) -> Column[str]:
    """Return a column for our ids, the primary key if it is named ``id``."""
    return Column(name, Id, *rest, primary_key=name == "id", **options)


def address_column() -> Column[str]:
    """Return a column for the canonical form of the mail address in the column ``email``, compared byte by byte.

    Every insert computes it, so that no row has another form (``kit/mail_addresses.py``).
    """

    def canonical(context: Any) -> str:
        return canonical_address(context.get_current_parameters()["email"])

    kind = String(254, collation="utf8mb4_bin")
    return Column("address", kind, nullable=False, default=canonical, comment="canonical form of email")


class Database:
    """A MySQL database.

    Connections are opened on first use, since neither they nor credentials would survive a SnapStart snapshot. They are
    reopened after a failover. A new connection waits while a paused database resumes.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        credentials: Callable[[], Mapping[str, Any]] | None = None,
        wait_seconds: float = 20,
        statement_seconds: float | None = READ_SECONDS,
    ) -> None:
        """Use the database at ``url``.

        Args:
            url: SQLAlchemy's URL.
            credentials: Returns arguments of ``pymysql.connect``; called for each new connection.
            wait_seconds: Longest wait for a database that does not answer yet. Aurora takes about 15 s to resume.
            statement_seconds: Longest wait for the end of a statement; None for a migration, which takes any time.
        """
        self._url = url
        self._credentials = credentials
        self._wait_seconds = wait_seconds
        self._statement_seconds = statement_seconds
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, created on first use."""
        if self._engine is None:
            limit = self._statement_seconds
            connect = {"connect_timeout": CONNECT_SECONDS, "read_timeout": limit, "write_timeout": limit}
            self._engine = create_engine(
                self._url,
                isolation_level="READ COMMITTED",
                # An environment serves one request at a time; only requests with threads need more than one connection.
                pool_size=1,
                max_overflow=9,
                pool_pre_ping=True,
                connect_args=connect,
            )
            event.listen(self._engine, "do_connect", self._connect)
            event.listen(self._engine, "handle_error", _notice_failover)
        return self._engine

    def dispose(self) -> None:
        """Close all connections; the next use opens new ones."""
        if self._engine is not None:
            self._engine.dispose()

    @contextmanager
    def transaction(self) -> Generator[Connection]:
        """Give a connection in a transaction, which commits at the end of the block and rolls back on an exception.

        Raises:
            Unavailable: ``database_resuming`` while the database does not answer, ``database_interrupted`` when the
                connection was lost, ``database_busy`` on a conflict with another transaction. A retry is safe.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            if error.connection_invalidated:
                logger.warning("database connection lost", extra={"code": _code(error.orig)})
                raise Unavailable(
                    "database_interrupted", "The connection to the database was lost. Try again.", 1
                ) from error
            if _code(error.orig) in CONFLICTS:
                raise Unavailable(
                    "database_busy", "Another request changed the same data at the same time. Try again.", 1
                ) from error
            raise

    def _connect(self, dialect: Dialect, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        """Open a connection. Retry while the database resumes, fails over or has no free connection."""
        from pymysql.err import OperationalError  # a process connects at its first request

        deadline = monotonic() + self._wait_seconds
        while True:
            given: Mapping[str, Any] = self._credentials() if self._credentials else {}
            try:
                return dialect.connect(*arguments, **{**options, **given})
            except OperationalError as error:
                if _code(error) not in AWAY:
                    raise
                if monotonic() > deadline:
                    logger.warning("database does not answer", extra={"code": _code(error)})
                    raise Unavailable(
                        "database_resuming", "The database is waking up. Try again in some seconds.", RESUME_SECONDS
                    ) from error
            sleep(0.25)


class DatabaseSettings(FunctionSettings):
    """Settings of a function's access to the database."""

    database_host: Annotated[str, "the host name of the database"]
    database_port: Annotated[int, "the port of the database"] = 3306
    database_name: Annotated[str, "the name of the schema"]
    database_user: Annotated[str, "the name of the user who reads and writes rows"]
    database_auth: Annotated[Literal["iam", "password"], "how the user authenticates"]
    database_password: Annotated[str, "the password of the user, where DATABASE_AUTH is `password`"] = ""

    def check(self) -> None:
        """Check the settings that depend on ``database_auth``; raises :class:`InvalidSetting`."""
        _require(self, {"password": ("database_password",)})


class DatabaseOwnerSettings(DatabaseSettings):
    """Settings of the migrating function's access to the database as the owner of the schema."""

    database_owner: Annotated[str, "the name of the owner of the schema, where DATABASE_AUTH is `password`"] = ""
    database_owner_password: Annotated[str, "the password of the owner, where DATABASE_AUTH is `password`"] = ""
    database_owner_host: Annotated[str, "the host name of the cluster, where DATABASE_AUTH is `iam`"] = ""
    database_owner_secret: Annotated[str, "the ARN of the owner's secret, where DATABASE_AUTH is `iam`"] = ""

    def check(self) -> None:
        """Check the settings that depend on ``database_auth``; raises :class:`InvalidSetting`."""
        super().check()
        _require(
            self,
            {
                "password": ("database_owner", "database_owner_password"),
                "iam": ("database_owner_host", "database_owner_secret"),
            },
        )


def _require(settings: DatabaseSettings, fields: Mapping[str, Sequence[str]]) -> None:
    for name in fields.get(settings.database_auth, ()):
        if not getattr(settings, name):
            raise variables(type(settings))[name].missing()


def connect(settings: DatabaseSettings, wait_seconds: float = 20) -> Database:
    """Return the database of the function's settings.

    With ``iam`` (on AWS), use TLS and a new IAM token for each connection. With ``password`` (stage local), connect
    without TLS over the loopback interface.
    """
    user, host, port, name = (
        settings.database_user,
        settings.database_host,
        settings.database_port,
        settings.database_name,
    )
    if settings.database_auth == "password":
        return Database(
            address(host, port, name, user, settings.database_password, tls=False), wait_seconds=wait_seconds
        )
    context = tls_context()
    return Database(
        address(host, port, name, user),
        credentials=lambda: {"password": aws.database_token(host, port, user), "ssl": context},
        wait_seconds=wait_seconds,
    )


def connect_as_owner(settings: DatabaseOwnerSettings, wait_seconds: float) -> Database:
    """Return the database as the owner of the schema, who may change it. Only the migrating function may use this.

    Its statements have no time limit. The owner's secret is tried for ``wait_seconds``, too: in a first deployment, the
    network may be younger than this function.
    """
    port, name = settings.database_port, settings.database_name
    if settings.database_auth == "password":
        owner, password = settings.database_owner, settings.database_owner_password
        url = address(settings.database_host, port, name, owner, password, tls=False)
        return Database(url, wait_seconds=wait_seconds, statement_seconds=None)
    backoff = Backoff(first=1, longest=5, seconds=wait_seconds)
    secret = json.loads(retry(lambda: aws.secret(settings.database_owner_secret), backoff, AwsUnreachable))
    context = tls_context()
    return Database(
        address(settings.database_owner_host, port, name, secret["username"]),
        credentials=lambda: {"password": secret["password"], "ssl": context},
        wait_seconds=wait_seconds,
        statement_seconds=None,
    )


def address(host: str, port: int, name: str, user: str, password: str | None = None, *, tls: bool = True) -> URL:
    """Return SQLAlchemy's URL of the database ``name``."""
    # PyMySQL must be told not to use TLS. Otherwise it creates a context for each connection, which takes 25 ms.
    query = {"charset": "utf8mb4"} if tls else {"charset": "utf8mb4", "ssl_disabled": "true"}
    return URL.create("mysql+pymysql", user, password, host, port, name, query)


@cache
def tls_context() -> ssl.SSLContext:
    """Return the shared context of all connections. Servers have a certificate of RDS, RDS Proxy has one of Amazon."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=str(CERTIFICATES))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _notice_failover(context: ExceptionContext) -> None:
    """Discard a connection whose server has become a reader: after a failover the writer is another server."""
    if _code(context.original_exception) in READ_ONLY:
        context.is_disconnect = True


def _code(error: BaseException | None) -> int:
    number = error.args[0] if error is not None and error.args else 0
    return number if isinstance(number, int) else 0
