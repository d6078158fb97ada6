"""Keeps the addresses of SQS queues the same when the emulator's port changes.

MiniStack knows a queue by its address, and puts the port of the day into it: a queue saved under one port is not found
under another, so its messages would wait for ever for the function that they are for.
"""

from importlib import import_module
from typing import Any

PORT = "4566"
"""The port in the addresses only. Clients reach a queue at their configured endpoint."""


def install() -> None:
    """Hook into MiniStack's SQS."""
    sqs: Any = import_module("ministack.services.sqs")
    sqs.DEFAULT_PORT = PORT
    sqs._CANONICAL_NETLOC = f"{sqs.DEFAULT_HOST}:{PORT}"
