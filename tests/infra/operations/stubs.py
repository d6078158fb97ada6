"""Clients of AWS that check requests and answers against AWS's own models, and send nothing."""

from importlib import import_module
from typing import Any

from botocore.stub import Stubber


def stubbed(service: str) -> tuple[Any, Any]:
    """Return a client of `service`, and the stub that has its answers."""
    make: Any = import_module("boto3").client
    made = make(service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    stub: Any = Stubber(made)
    stub.activate()
    return made, stub
