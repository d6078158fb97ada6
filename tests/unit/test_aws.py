"""moto in the test's process takes one request at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from opencode_cloud.kit import aws
from tests.unit.aws import Cloud


def test_calls_of_threads_do_not_overlap(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    table, whole = cloud.table("access"), requests.request
    running, most, lock = 0, 0, threading.Lock()

    @contextmanager
    def request(*arguments: Any, **options: Any) -> Iterator[requests.Response]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with whole(*arguments, **options) as response:
            yield response
        with lock:
            running -= 1

    monkeypatch.setattr(requests, "request", request)
    with ThreadPoolExecutor(4) as pool:
        keys = [{"pk": {"S": "workspace#1"}, "sk": {"S": str(number)}} for number in range(8)]
        list(pool.map(lambda key: aws.dynamodb().put_item(TableName=table, Item=key), keys))
    assert most == 1
    assert len(cloud.rows(table)) == 8
