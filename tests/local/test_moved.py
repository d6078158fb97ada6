"""A stage whose emulator's port is taken restarts on another port, and its triggers keep working."""

import socket
import time
from pathlib import Path

import pytest

from local.stack import LocalStack
from tests.integration.publisher import Publisher, part
from tests.sharing_stage import TEMPLATE


@pytest.mark.slow
def test_a_stage_that_moves_to_another_port_keeps_its_shares_and_purges_them(tmp_path: Path) -> None:
    with LocalStack(tmp_path, template=TEMPLATE) as before:
        share = Publisher.create(before.url)
        share.must_sync(part("1", "from before"))
    with socket.create_server(("127.0.0.1", before.emulator_port)), LocalStack(tmp_path) as after:
        assert after.emulator_port != before.emulator_port
        share = Publisher.create(after.url, share.session_id)
        assert [item["data"]["text"] for item in share.data()] == ["from before"]
        assert share.delete().status_code == 200
        deadline = time.monotonic() + 30
        while rows_of(after, share.id) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert rows_of(after, share.id) == 0


def rows_of(stack: LocalStack, share_id: str) -> int:
    return stack.client("dynamodb").query(
        TableName=stack.outputs["SharesTableName"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": share_id}},
        ConsistentRead=True,
    )["Count"]
