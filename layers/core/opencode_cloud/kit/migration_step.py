"""A step of the deployment, as a custom resource of CloudFormation: the database gets the schema of the code."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import text

from opencode_cloud.kit import migration
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.sql import DatabaseOwnerSettings, Engine, connect_as_owner

WAIT_SECONDS = 300
"""For a database that is being made, or resumes."""

LOCK_SECONDS = 300
ANSWER_SECONDS = 30
PHYSICAL_ID = "migration"
"""The same for ever: CloudFormation deletes a resource whose id has changed."""


class MigrationStep:
    """Migrates when CloudFormation, or a person, asks for it."""

    def __init__(self, settings: DatabaseOwnerSettings, folder: Path, then: Callable[[], None]) -> None:
        """Migrate to the versions in ``folder``, then call ``then``."""
        self._settings = settings
        self._folder = folder
        self._then = then

    def handle(self, event: Mapping[str, Any]) -> dict[str, str]:
        """Migrate, and return the version; when CloudFormation asks, tell it whether that went well."""
        if "ResponseURL" not in event:
            return {"version": self._migrate()}
        try:
            # To delete the resource is to delete the stack: the data has a policy of its own.
            version = "" if event["RequestType"] == "Delete" else self._migrate()
        except Exception as error:  # noqa: BLE001 - CloudFormation would wait for an hour
            logger.exception("migration failed")
            _answer(event, {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"[:1000]})
            return {"version": ""}
        _answer(event, {"Status": "SUCCESS", "Data": {"Version": version}})
        return {"version": version}

    def _migrate(self) -> str:
        database = connect_as_owner(self._settings, WAIT_SECONDS)
        try:
            if self._settings.database_auth == "iam":
                _let_in(database.engine, self._settings.database_user, self._settings.database_name)
            version = migration.upgrade(database.engine, self._folder, LOCK_SECONDS)
        finally:
            database.dispose()
        self._then()
        return version


def _let_in(engine: Engine, user: str, name: str) -> None:
    """Create the database user of the functions: IAM tokens, TLS, rights on rows and not on the schema."""
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
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")  # noqa: S310 - CloudFormation's
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):  # noqa: S310 - CloudFormation's
        pass
