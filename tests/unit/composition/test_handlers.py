"""Every handler starts with only the variables that its function requires, and without calls of AWS."""

import json
import subprocess
import sys
from pathlib import Path

from tests.unit.composition.test_settings import FUNCTIONS, ROOT, environment_of, settings_of

PROGRAM = """
import gc, importlib.util, json, os, socket, sys

def refuse(*_):
    raise AssertionError("a handler calls something as it starts")

socket.socket.connect = refuse
for path, environment in json.load(sys.stdin):
    before = dict(os.environ)
    os.environ.update(environment)
    gc.unfreeze()
    spec = importlib.util.spec_from_file_location("started", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert callable(getattr(module, "handler", None) or module.app)
    assert gc.isenabled() and gc.get_freeze_count(), "a handler is imported outside of kit.starting.Starting"
    os.environ.clear()
    os.environ.update(before)
    print(path)
"""
BESIDE = {"DATABASE_AUTH": "password", "DATABASE_PORT": "3306"}
BESIDE |= dict.fromkeys(("DATABASE_PASSWORD", "DATABASE_OWNER", "DATABASE_OWNER_PASSWORD"), "none")
"""Settings of the local stage's database, because only the deployed library has the certificates for AWS."""

WITH_BILLING = frozenset({"console", "gateway", "ledger", "operate"})
LAZY = frozenset({"share", "console"})
CLIENTS = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}


def handler_of(function: str) -> Path:
    return ROOT / "functions" / function / "handler.py"


def test_every_handler_starts_with_what_its_function_requires() -> None:
    # In a separate process, because handlers create AWS clients when they start.
    starts = [(str(handler_of(name)), {**environment_of(settings_of(name)), **BESIDE}) for name in FUNCTIONS]
    # With billing these build other services.
    starts += [(path, {**values, "BILLING": "1"}) for path, values in starts if Path(path).parent.name in WITH_BILLING]
    # Ahead of requests these build also what others build at the first request.
    starts += [
        (path, {**values, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"})
        for path, values in starts
        if Path(path).parent.name in LAZY
    ]
    environment = {**CLIENTS, "PATH": "", "PYTHONPATH": str(ROOT / "layers" / "core")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(starts),
        env={**environment, "POWERTOOLS_METRICS_NAMESPACE": "Test", "POWERTOOLS_SERVICE_NAME": "test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == [path for path, _ in starts]
