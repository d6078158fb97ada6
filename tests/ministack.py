"""The emulator without a deployed stage: start it, point the library to it, create tables in it."""

from __future__ import annotations

import io
import json
import secrets
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import Any, Literal

import boto3
import pytest

from local.deployment import CREDENTIALS, REGION
from local.processes import EMULATED, READY_SECONDS, Program, accepts, clean_environment, free_port
from opencode_cloud.kit import aws, kms_signing
from tests.tables import create_table
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


class Emulator:
    """MiniStack behind our launcher, in a separate folder."""

    def __init__(self, folder: Path, durability: Literal["disk", "process"] = "process") -> None:
        self.folder = folder
        self.durability = durability
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.program = Program("emulator", folder / "run", folder / "logs")
        self._clients: dict[str, Any] = {}

    def start(self) -> None:
        command = [str(ROOT / ".tools/ministack/bin/python"), "-m", "local.emulator.launcher", "--with-parent"]
        command += ["--port", str(self.port), "--state", str(self.folder / "state"), "--durability", self.durability]
        self.program.start(command, clean_environment(**CREDENTIALS, AWS_DEFAULT_REGION=REGION), ROOT)
        self.program.wait_until(lambda: accepts(self.port), READY_SECONDS)

    def save(self) -> None:
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_local/save", method="POST"), timeout=PATIENCE):
            pass

    def client(self, service: str) -> Any:
        """Return a client of the emulator. It is cached, because creating it takes longer than a hundred calls."""
        if service not in self._clients:
            settings = {"endpoint_url": self.url, "region_name": REGION}
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
            self._clients[service] = boto3.client(service, **settings, **keys)  # pyright: ignore[reportCallIssue, reportArgumentType]
        return self._clients[service]

    def create_table(self, name: str) -> str:
        """Create a table that `infra/tables.py` declares, under a new name; return the name."""
        return create_table(self.client("dynamodb"), name, f"{name}-{secrets.token_hex(4)}")

    def create_function(self, name: str, source: str) -> str:
        """Create a function without permissions, whose `source` has a `handler`; return its ARN."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr(f"{name}.py", source)
        policy = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
        role = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
        function = self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=role,
            Handler=f"{name}.handler",
            Code={"ZipFile": archive.getvalue()},
        )
        return str(function["FunctionArn"])

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of a table."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [row for page in pages for row in page["Items"]]


@contextmanager
def pointed_at(url: str, **settings: str) -> Iterator[None]:
    """Give the library new clients, and the environment of a function whose services are at `url`."""
    patience = {"AWS_READ_SECONDS": EMULATED["AWS_READ_SECONDS"]}
    named = {**CREDENTIALS, **patience, "AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": REGION, **settings}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in named.items():
            patch.setenv(name, value)
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Test")
        patch.setenv("POWERTOOLS_SERVICE_NAME", "test")
        forget_clients()
        yield
    forget_clients()


def forget_clients() -> None:
    """Drop the clients and secrets that the library caches for an execution environment."""
    for module in (aws, kms_signing):
        for value in vars(module).values():
            if isinstance(value, _lru_cache_wrapper):
                value.cache_clear()
