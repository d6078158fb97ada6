"""Make MiniStack durable: a journal of DynamoDB's changes, and complete, synced states that are saved on request.

MiniStack 1.5.33 keeps everything in memory and writes it at a clean stop only, swallowing errors. Here every change of
a table is journaled before it is acknowledged and replayed over the last saved state, and a state that cannot be read
or written stops the program instead of being replaced by an empty one.
"""

import asyncio
import json
import logging
import os
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from local.emulator import journal
from local.emulator.journal import Journal, records, sync_folder

logger = logging.getLogger("local.durability")

CHANGES = frozenset(
    {
        "BatchExecuteStatement",
        "BatchWriteItem",
        "CreateTable",
        "DeleteItem",
        "DeleteTable",
        "ExecuteStatement",
        "ExecuteTransaction",
        "PutItem",
        "TransactWriteItems",
        "UpdateItem",
        "UpdateTable",
        "UpdateTimeToLive",
    }
)
"""DynamoDB actions that write."""

SEGMENT_KEY = "journal_segment"
"""The key in DynamoDB's saved state for the number of the first segment that the state does not contain."""

REAPER_THREAD = "dynamodb-ttl-reaper"
"""MiniStack's thread that deletes expired items without a request."""


class StateUnreadable(Exception):
    """A saved state exists and cannot be restored; starting empty would overwrite it at the next save."""


class Durability:
    """Hooks a journal into MiniStack's DynamoDB, and saves and restores all services."""

    def __init__(
        self,
        journal_folder: Path,
        state_folder: Path,
        checkpoint_bytes: int,
        durability: journal.Durability = "disk",
    ) -> None:
        self._app: Any = import_module("ministack.app")
        self._persistence: Any = import_module("ministack.core.persistence")
        self._responses: Any = import_module("ministack.core.responses")
        self._dynamodb: Any = self._app._get_module("dynamodb")
        self._handle = self._dynamodb.handle_request
        self._journal_folder = journal_folder
        self._state_folder = state_folder
        self._checkpoint_bytes = checkpoint_bytes
        self._durability: journal.Durability = durability
        self._journal: Journal | None = None

    def install(self) -> None:
        """Replace the hooks that MiniStack calls by those of this object."""
        get_state, remove_item = self._dynamodb.get_state, self._dynamodb._remove_item

        def get_state_of_segment() -> dict[str, Any]:
            segment = self._open_journal.begin_segment()
            return {**get_state(), SEGMENT_KEY: segment}

        def remove_and_journal(table: dict[str, Any], *key: Any) -> Any:
            if threading.current_thread().name == REAPER_THREAD:
                self._journal_expiry(table, *key)
            return remove_item(table, *key)

        self._dynamodb.get_state = get_state_of_segment
        self._dynamodb.handle_request = self.handle_request
        self._dynamodb._remove_item = remove_and_journal
        self._persistence.save_state = self._save_one
        self._persistence.save_all = self._app.save_all = self._save_all
        self._app._load_persisted_state = self.restore

    @property
    def _open_journal(self) -> Journal:
        if self._journal is None:
            raise RuntimeError("the journal opens when the state has been restored")
        return self._journal

    async def handle_request(self, method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
        """Let DynamoDB answer. A change is in the journal before its answer is sent, by default on the disk."""
        answer = await self._handle(method, path, headers, body, query)
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action not in CHANGES or answer[0] != 200:
            return answer
        # There is no await between the change and this line, so the journal has the changes in their order.
        durable = self._open_journal.append(
            encode(self._responses.get_account_id(), self._responses.get_region(), action, body)
        )
        if durable.done():
            durable.result()  # raises the error of the disk
        else:
            await asyncio.wrap_future(durable)
        if self._open_journal.size > self._checkpoint_bytes:
            self.save()
        return answer

    def save(self) -> None:
        """Write the state of all services, then delete the journal that it replaces."""
        self._save_all(self._app._build_persistence_save_dict())

    def restore(self) -> None:
        """Load every saved service, then apply the journal, then open it for appending.

        Raises:
            StateUnreadable: A saved state exists and cannot be loaded.
        """
        first_segment = None
        for service, module in self._app._state_map.items():
            data = self._load_one(service)
            if not data:
                continue
            if service == "dynamodb":
                first_segment = data.get(SEGMENT_KEY, 0)
            self._app._get_module(module).load_persisted_state(data)
        # Without a saved state there is no table, so the journal belongs to an unfinished stage.
        replayed = 0 if first_segment is None else self._replay(first_segment)
        # Streams start from the beginning, so an old position would skip new records. Functions accept repetition.
        self._app._get_module("lambda_svc")._dynamodb_stream_positions.clear()
        self._journal = Journal(self._journal_folder, self._durability)
        logger.info("restored the saved state and %d changes from the journal", replayed)

    def _replay(self, first_segment: int) -> int:
        count = 0
        for count, record in enumerate(records(self._journal_folder, first_segment), start=1):  # noqa: B007 - counts
            account, region, action, body = decode(record)
            with self._responses.request_scope(account, region):
                status, _, answer = run_to_end(
                    self._handle("POST", "/", {"x-amz-target": f"DynamoDB_20120810.{action}"}, body, {})
                )
            if status != 200:
                logger.error("the journal's %s was refused at replay: %s", action, answer)
        return count

    def _save_all(self, services: dict[str, Callable[[], Any]]) -> None:
        segment = None
        for service, get_state in services.items():
            state = get_state()
            if state is None:
                continue
            if service == "dynamodb":
                segment = state[SEGMENT_KEY]
            self._save_one(service, state)
        sync_folder(self._state_folder)
        if segment is not None:
            self._open_journal.discard_before(segment)

    def _save_one(self, service: str, state: Any) -> None:
        document = {"__ministack_format__": self._persistence._state_format_version(service), "payload": state}
        self._state_folder.mkdir(parents=True, exist_ok=True)
        target = self._state_folder / f"{service}.json"
        draft = target.with_suffix(".tmp")
        with draft.open("w") as file:
            json.dump(document, file, default=self._persistence._json_default)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)

    def _load_one(self, service: str) -> Any:
        data = self._persistence.load_state(service)
        path = self._state_folder / f"{service}.json"
        if data is None and path.exists():
            raise StateUnreadable(f"{path} cannot be read; `make clean-local` starts afresh")
        return data

    def _journal_expiry(self, table: dict[str, Any], *key: Any) -> None:
        partition, sort = key
        item = table["items"][partition][sort]
        names = [element["AttributeName"] for element in table["KeySchema"]]
        request = {"TableName": table["TableName"], "Key": {name: item[name] for name in names}}
        _, _, _, region, account, _ = table["TableArn"].split(":", 5)
        self._open_journal.append(encode(account, region, "DeleteItem", json.dumps(request).encode()))


def encode(account: str, region: str, action: str, body: bytes) -> bytes:
    """Return a journal record of one change."""
    return f"{account} {region} {action}\n".encode() + body


def decode(record: bytes) -> tuple[str, str, str, bytes]:
    """Return account, region, action and request body of a journal record."""
    head, _, body = record.partition(b"\n")
    account, region, action = head.decode().split(" ")
    return account, region, action, body


def run_to_end(coroutine: Any) -> Any:
    """Return the result of a coroutine that never waits, because the running loop cannot run it."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a DynamoDB handler awaited an event, so it cannot be replayed")
