"""The migration of the database during a deployment, as a custom resource of CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import urllib3
from sqlalchemy import text

from opencode_cloud.kit import migration
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.sql import DatabaseOwnerSettings, Engine, connect_as_owner

WAIT_SECONDS = 300
"""Time to wait for a database that is being created, or resumes."""

LOCK_SECONDS = 300
ANSWER_SECONDS = 30
PHYSICAL_ID = "migration"
"""Never change it: CloudFormation deletes a resource whose id has changed."""


class MigrationStep:
    """Migrates at the request of CloudFormation or of a person."""

    def __init__(self, settings: DatabaseOwnerSettings, folder: Path, then: Callable[[], None]) -> None:
        """Migrate to the versions in ``folder``, then call ``then``."""
        self._settings = settings
        self._folder = folder
        self._then = then

    def handle(self, event: Mapping[str, Any]) -> dict[str, str]:
        """Migrate and return the version. Report success or failure to CloudFormation if it sent the request."""
        if "ResponseURL" not in event:
            return {"version": self._migrate()}
        try:
            # CloudFormation deletes this resource with the stack. The database has its own removal policy.
            version = "" if event["RequestType"] == "Delete" else self._migrate()
        except Exception as error:  # noqa: BLE001 - without an answer, CloudFormation waits for an hour
            logger.exception("migration failed")
            _answer(event, {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"[:1000]})
            return {"version": ""}
        _answer(event, {"Status": "SUCCESS", "Data": {"Version": version}})
        return {"version": version}

    def _migrate(self) -> str:
        database = connect_as_owner(self._settings, WAIT_SECONDS)
        try:
            if self._settings.database_auth == "iam":
                _grant_access(database.engine, self._settings.database_user, self._settings.database_name)
            version = migration.upgrade(database.engine, self._folder, LOCK_SECONDS)
        finally:
            database.dispose()
        self._then()
        return version


def _grant_access(engine: Engine, user: str, name: str) -> None:
    """Create the functions' database user: IAM tokens, TLS, rights on rows but not on the schema."""
    statements = (
        f"CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
        f"ALTER USER '{user}'@'%' REQUIRE SSL",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{name}`.* TO '{user}'@'%'",
    )
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _answer(event: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    named = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    body = json.dumps({**named, "PhysicalResourceId": PHYSICAL_ID, **result}).encode()
    # The address is signed for an empty content type.
    answer = urllib3.request(
        "PUT", event["ResponseURL"], body=body, headers={"Content-Type": ""}, timeout=ANSWER_SECONDS
    )
    if answer.status >= 300:
        raise OSError(f"CloudFormation's address answered {answer.status}")
