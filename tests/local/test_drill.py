"""The drill of docs/operate.md: a stage whose data are damaged returns to one point in time, and works on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.operations.restoring import removed_shares, restore_bucket, restore_table
from local.stack import LocalStack
from tests.integration.people import People
from tests.integration.publisher import Publisher, part
from tests.sharing_stage import ROOT, TEMPLATE
from tests.tables import create_table
from tests.waiting import PATIENCE, until

BACKED_UP = ("shares", "sessions", "budgets", "usage")
"""Tables of the nightly plan (infra/stacks/backup.py). The projection `access` is rebuilt."""

BUCKET = "restored-bodies"
LARGE = "x" * 400_000
"""A body of its own in the bucket."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_stage_returns_to_one_point_in_time(tmp_path: Path) -> None:
    with LocalStack(tmp_path, template=TEMPLATE) as stack:
        kept, removed = Publisher.create(stack.url), Publisher.create(stack.url)
        for share in (kept, removed):
            share.must_sync(part("1", LARGE), part("2", "from before"))
        owner = People(stack).somebody()
        workspace = owner.found("Before")
        key = owner.key(workspace)
        assert _models(stack, key) == 200

        _back_up(stack)
        dump = stack.database.dump()

        assert removed.delete().status_code == 200
        _damage(stack)
        until(lambda: _models(stack, key) != 200)
        assert httpx.get(f"{stack.url}/share/{kept.id}/items", timeout=PATIENCE).status_code != 200

        _restore(stack)
        stack.database.load(dump)
        _command(stack, "project")

        texts = {item["data"]["text"] for item in kept.data() if item["type"] == "part"}
        assert texts == {LARGE, "from before"}
        assert httpx.get(f"{stack.url}/share/{removed.id}/items", timeout=PATIENCE).status_code == 410
        until(lambda: _models(stack, key) == 200)
        found = owner.http.get(f"/api/v1/workspaces/{workspace}")
        assert (found.status_code, found.json()["name"]) == (200, "Before")
        before = kept.items()["seq"]
        assert kept.must_sync(part("3", "from after")) > before, "publishers go on, and readers resume"
        assert [item["data"]["text"] for item in kept.items(before)["items"]] == ["from after"]


def _back_up(stack: LocalStack) -> None:
    """Make the copies that point-in-time recovery and AWS Backup restore beside a stage."""
    dynamodb, s3 = stack.client("dynamodb"), stack.client("s3")
    for name in BACKED_UP:
        restore_table(dynamodb, _table(stack, name), create_table(dynamodb, name, f"restored-{name}"), _quiet)
    s3.create_bucket(Bucket=BUCKET)
    restore_bucket(s3, stack.outputs["SharesBucketName"], BUCKET, set(), _quiet)
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] > 0


def _damage(stack: LocalStack) -> None:
    """Delete every row but tombstones, every object, and what the database knows of workspaces and keys."""
    dynamodb, s3 = stack.client("dynamodb"), stack.client("s3")
    for name in (*BACKED_UP, "access"):
        empty = create_table(dynamodb, name, f"empty-{name}")
        restore_table(dynamodb, empty, _table(stack, name), _quiet)
    for it in s3.list_objects_v2(Bucket=stack.outputs["SharesBucketName"]).get("Contents", []):
        s3.delete_object(Bucket=stack.outputs["SharesBucketName"], Key=it["Key"])


def _restore(stack: LocalStack) -> None:
    dynamodb, s3 = stack.client("dynamodb"), stack.client("s3")
    for name in BACKED_UP:
        restore_table(dynamodb, f"restored-{name}", _table(stack, name), _quiet)
    removed = removed_shares(dynamodb, _table(stack, "shares"))
    restore_bucket(s3, BUCKET, stack.outputs["SharesBucketName"], removed, _quiet)


def _table(stack: LocalStack, name: str) -> str:
    return stack.outputs[f"{name.capitalize()}TableName"]


def _models(stack: LocalStack, key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{stack.url}/zen/v1/models", headers=headers, timeout=PATIENCE).status_code


def _command(stack: LocalStack, *arguments: str) -> None:
    """Run an operators' command, as docs/operate.md does."""
    settings: dict[str, Any] = stack.client_settings()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "layers" / "core"),
        "AWS_ENDPOINT_URL": settings["endpoint_url"],
        "AWS_DEFAULT_REGION": settings["region_name"],
        "AWS_ACCESS_KEY_ID": settings["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": settings["aws_secret_access_key"],
    }
    command = [sys.executable, "-m", "opencode_cloud", "--stage", "local", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _quiet(_text: str) -> None:
    return
