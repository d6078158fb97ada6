"""SIGKILL of the emulator loses no acknowledged write, and applies no write twice."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local.processes import ProgramFailed
from tests.ministack import Emulator

TABLE = "things"


def create_table(emulator: Emulator) -> Any:
    client = emulator.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    return client


def items_of(emulator: Emulator) -> dict[str, Any]:
    pages = emulator.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
    return {item["pk"]["S"]: item for page in pages for item in page["Items"]}


def add(client: Any, key: str) -> Any:
    return client.update_item(
        TableName=TABLE,
        Key={"pk": {"S": key}},
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


@pytest.mark.parametrize("durability", ["disk", "process"])
def test_what_was_acknowledged_survives_kills_in_the_middle_of_writing(emulator: Emulator) -> None:
    create_table(emulator)
    emulator.save()
    acknowledged: set[str] = set()
    for round_number in range(3):
        written = write_until_killed(emulator, round_number)
        acknowledged |= written
        emulator.start()
        assert acknowledged <= items_of(emulator).keys()
    assert len(acknowledged) > 100


def write_until_killed(emulator: Emulator, round_number: int) -> set[str]:
    """Write from four threads, kill the emulator meanwhile, and return the keys that it acknowledged."""
    acknowledged: set[str] = set()
    enough = threading.Event()

    def write(writer: int) -> None:
        client = emulator.client("dynamodb")
        for n in range(10_000):
            key = f"{round_number}-{writer}-{n}"
            put = {"Put": {"TableName": TABLE, "Item": {"pk": {"S": key}, "data": {"B": bytes(500)}}}}
            try:
                if n % 2:
                    client.transact_write_items(TransactItems=[put])
                else:
                    client.put_item(**put["Put"])
            except (BotoCoreError, ClientError):
                return
            acknowledged.add(key)
            if len(acknowledged) > 150:
                enough.set()

    with ThreadPoolExecutor(4) as pool:
        for writer in range(4):
            pool.submit(write, writer)
        assert enough.wait(60)
        emulator.program.kill()
    return acknowledged


def test_a_save_in_between_neither_loses_nor_repeats_a_change(emulator: Emulator) -> None:
    client = create_table(emulator)
    for _ in range(3):
        add(client, "counter")
    emulator.save()
    for _ in range(4):
        add(client, "counter")
    client.put_item(TableName=TABLE, Item={"pk": {"S": "deleted"}})
    client.delete_item(TableName=TABLE, Key={"pk": {"S": "deleted"}})
    with pytest.raises(ClientError):
        client.put_item(TableName=TABLE, Item={"pk": {"S": "refused"}}, ConditionExpression="attribute_exists(pk)")
    emulator.program.kill()

    emulator.start()
    assert items_of(emulator) == {"counter": {"pk": {"S": "counter"}, "n": {"N": "7"}}}

    # The second start replays over the same saved state again. The third starts from the state of a clean stop.
    emulator.program.kill()
    emulator.start()
    add(emulator.client("dynamodb"), "counter")
    emulator.program.stop()
    emulator.start()
    assert items_of(emulator)["counter"]["n"] == {"N": "8"}


def test_keys_secrets_objects_and_versions_survive_once_saved(emulator: Emulator) -> None:
    secret = emulator.client("secretsmanager").create_secret(Name="secret", SecretString="kept")["ARN"]
    key = emulator.client("kms").create_key()["KeyMetadata"]["KeyId"]
    storage = emulator.client("s3")
    storage.create_bucket(Bucket="bodies")
    storage.put_bucket_versioning(Bucket="bodies", VersioningConfiguration={"Status": "Enabled"})
    emulator.save()
    first = storage.put_object(Bucket="bodies", Key="a/b", Body=b"first")["VersionId"]
    storage.put_object(Bucket="bodies", Key="a/b", Body=b"second")
    storage.put_object(Bucket="bodies", Key="gone", Body=b"x")
    storage.delete_object(Bucket="bodies", Key="gone")
    emulator.program.kill()
    emulator.start()

    storage = emulator.client("s3")
    assert storage.get_object(Bucket="bodies", Key="a/b")["Body"].read() == b"second"
    assert storage.get_object(Bucket="bodies", Key="a/b", VersionId=first)["Body"].read() == b"first"
    assert [entry["Key"] for entry in storage.list_objects_v2(Bucket="bodies")["Contents"]] == ["a/b"]
    assert emulator.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"] == "kept"
    assert emulator.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyId"] == key


def test_numbers_keep_their_38_digits(emulator: Emulator) -> None:
    client = create_table(emulator)
    number = "12345678901234567890123456789012345678"
    client.put_item(TableName=TABLE, Item={"pk": {"S": "n"}, "n": {"N": number}})
    client.update_item(
        TableName=TABLE,
        Key={"pk": {"S": "n"}},
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    assert items_of(emulator)["n"]["n"]["N"] == "12345678901234567890123456789012345679"


def test_a_state_that_cannot_be_read_stops_the_start_instead_of_being_replaced(emulator: Emulator) -> None:
    create_table(emulator)
    emulator.program.stop()
    damaged = emulator.folder / "state" / "services" / "dynamodb.json"
    damaged.write_text("{")
    with pytest.raises(ProgramFailed, match="cannot be read"):
        emulator.start()
    assert damaged.read_text() == "{"


def test_only_this_machine_and_this_user_reach_the_emulator(emulator: Emulator) -> None:
    listening = [c for c in psutil.Process(emulator.program.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}
    emulator.save()
    files = list((emulator.folder / "state").rglob("*"))
    assert files
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
