"""Answers to readers, logs and dumps of the stores contain no session id and no secret (invariant I4)."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from backports import zstd
from websockets.sync.client import connect

from tests.integration.publisher import Publisher, message, part, session
from tests.waiting import PATIENCE

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@pytest.fixture(scope="module")
def share(stack: Any) -> Publisher:
    """Create a share whose content has its session id in every form that a client can send."""
    share = Publisher.create(stack.url)
    core = share.session_id.removeprefix("ses_")
    share.must_sync(
        session(share.session_id, f"about {share.session_id}"),
        message("1", share.session_id),
        part("1", f"/tmp/{share.session_id}/x and bare {core}", sessionID=share.session_id),
        named_after(share.session_id),
        part("3", share.session_id * 20_000),
        {"type": "messages", "data": {"sessionID": share.session_id, "messages": []}},
    )
    return share


def named_after(session_id: str) -> dict[str, Any]:
    """Return a part with the session id as the name of a field, and deeper inside."""
    published = part("2", f"escaped {session_id}")
    published["data"][session_id] = {"nested": [session_id]}
    return published


def needles(share: Publisher) -> list[bytes]:
    return [share.session_id.removeprefix("ses_").encode(), share.secret.encode()]


def test_no_reader_gets_the_session_id_or_the_secret(stack: Any, share: Publisher) -> None:
    paths = [
        "/share/{}",
        "/share/{}.json",
        "/share/{}.md",
        "/share/{}/items",
        "/share_data?id={}",
        "/api/share/{}/data",
    ]
    paths += [f"/share/{{}}/items/{seq}" for seq in range(1, 7)]
    for path in paths:
        response = share.http.get(path.format(share.id), headers={"accept": "text/html,*/*"})
        assert response.status_code == 200, path
        for needle in needles(share):
            assert needle not in response.content, path
            assert needle not in str(response.headers).encode(), path


def test_no_frame_carries_them(stack: Any, share: Publisher) -> None:
    address = stack.url.replace("http", "ws", 1)
    frames: list[bytes] = []
    with connect(f"{address}/live") as live, connect(f"{address}/share_poll?id={share.id}") as legacy:
        live.send(json.dumps({"action": "resume", "share": share.id, "after": 0}))
        while b'"ready"' not in frames[-1:] and not any(b'"ready"' in frame for frame in frames):
            frames.append(str(live.recv(timeout=PATIENCE)).encode())
        share.must_sync(part("1", f"again {share.session_id}"))
        frames.append(str(live.recv(timeout=PATIENCE)).encode())
        frames.extend(str(legacy.recv(timeout=PATIENCE)).encode() for _ in range(5))
    assert len(frames) > 6
    for frame in frames:
        for needle in needles(share):
            assert needle not in frame


def test_errors_do_not_repeat_what_was_sent(share: Publisher) -> None:
    answers = [
        share.sync(part("1"), secret=share.secret[:-1] + "x"),
        share.http.post("/api/share", json={"sessionID": f"{share.session_id}!"}),
        share.http.post(
            "/share_sync",
            json={"sessionID": share.session_id, "secret": share.secret, "key": share.secret, "content": 1},
        ),
        share.http.post(
            f"/api/share/{share.id}/sync",
            json={"secret": share.secret, "data": [{"type": 1, "data": share.session_id}]},
        ),
    ]
    for answer in answers:
        assert answer.status_code >= 400
        for needle in needles(share):
            assert needle not in answer.content


def test_a_dump_of_tables_and_bucket_yields_neither(stack: Any, share: Publisher) -> None:
    held = list(everything_stored(stack))
    assert any(share.id.encode() in body for body in held)
    for body in held:
        for needle in needles(share):
            assert needle not in body


def test_the_logs_of_the_functions_hold_no_secret_and_no_content(stack: Any, share: Publisher) -> None:
    share.must_sync(part("log", "words-that-belong-to-the-user"))
    httpx.post(f"{stack.url}/api/share", json={"sessionID": share.session_id}, timeout=PATIENCE)
    time.sleep(1)
    logs = stack.client("logs")
    lines: list[bytes] = []
    for group in logs.get_paginator("describe_log_groups").paginate().search("logGroups[].logGroupName"):
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            lines.extend(event["message"].encode() for event in page["events"])
    assert any(b"CommitCount" in line for line in lines), "the functions' logs are being read"
    for line in lines:
        for needle in [*needles(share), b"words-that-belong-to-the-user"]:
            assert needle not in line


def everything_stored(stack: Any) -> Iterator[bytes]:
    """Yield every row and object of the stage as bytes, also decompressed."""
    for name in ("SharesTableName", "ConnectionsTableName"):
        for page in stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs[name]):
            for row in page["Items"]:
                yield str({key: value for key, value in row.items() if key != "payload"}).encode()
                for value in row.values():
                    if "B" in value:
                        yield bytes(value["B"])
                if "payload" in row:
                    yield decompressed(bytes(row["payload"]["B"]))
    bucket = stack.outputs["SharesBucketName"]
    for page in stack.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            body = stack.client("s3").get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            yield entry["Key"].encode()
            yield body
            yield decompressed(body)


def decompressed(body: bytes) -> bytes:
    """Return the contents of zstd, gzip or zlib data, also of a body that another test has cut."""
    if body.startswith(ZSTD_MAGIC):
        return zstd.ZstdDecompressor().decompress(body)
    return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body)
