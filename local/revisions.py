"""Write a new version of the schema from the differences between the code's tables and the earlier versions."""

import subprocess
import sys
import tempfile
from pathlib import Path

from local.database import OWNER, LocalDatabase
from opencode_cloud.kit import migration
from opencode_cloud.kit.sql import Database


def write_revision(root: Path, name: str) -> None:
    """Write `migrations/versions/<number>_<name>.py`, to be completed by hand."""
    folder = root / "migrations"
    with tempfile.TemporaryDirectory() as scratch:
        server = LocalDatabase(Path(scratch), root)
        server.start()
        try:
            owner = Database(server.access.url(OWNER))
            versions = sorted((folder / "versions").glob("*.py"))
            if versions:
                migration.upgrade(owner.engine, folder)
            migration.revise(owner.engine, folder, f"{len(versions) + 1:04}", name.replace("_", " "))
            owner.dispose()
        finally:
            server.stop()
    ruff = Path(sys.executable).with_name("ruff")
    for check in ("check", "--fix", "--quiet"), ("format", "--quiet"):
        subprocess.run([str(ruff), *check, str(folder / "versions")], cwd=root, check=True)
