"""Queries give DynamoDB's answers, page by page, although most rows are filtered before."""

from typing import Any

import pytest

from tests.ministack import Emulator

KEYS = [f"L#{n:03}" for n in range(0, 60, 2)]


def fill(emulator: Emulator, value: str = "x") -> Any:
    client = emulator.client("dynamodb")
    client.create_table(
        TableName="rows",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    for partition in ("one", "two"):
        for key in ["META", *KEYS, "V#1"]:
            client.put_item(TableName="rows", Item={"pk": {"S": partition}, "sk": {"S": key}, "v": {"S": value}})
    return client


def query(client: Any, condition: str, *operands: str, **options: Any) -> list[str]:
    """Return all pages of a query on partition `one`."""
    values = {":pk": {"S": "one"}, **{f":{n}": {"S": operand} for n, operand in enumerate(operands)}}
    found: list[str] = []
    while True:
        page = client.query(
            TableName="rows", KeyConditionExpression=condition, ExpressionAttributeValues=values, **options
        )
        found += [item["sk"]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return found
        options["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def test_ranges_orders_limits_and_cursors(emulator: Emulator) -> None:
    client = fill(emulator)
    names = {"ExpressionAttributeNames": {"#s": "sk"}}
    whole = sorted(["META", *KEYS, "V#1"])

    assert query(client, "pk = :pk") == whole
    assert query(client, "pk = :pk AND begins_with(sk, :0)", "L#") == KEYS
    assert query(client, "pk = :pk AND begins_with(sk, :0)", "L#", Limit=7) == KEYS
    assert query(client, "pk = :pk AND begins_with(sk, :0)", "L#", Limit=7, ScanIndexForward=False) == KEYS[::-1]
    assert query(client, "pk = :pk AND #s BETWEEN :0 AND :1", "L#003", "L#010", **names) == [
        "L#004",
        "L#006",
        "L#008",
        "L#010",
    ]
    assert query(client, "sk > :0 AND pk = :pk", "L#056") == ["L#058", "META", "V#1"]
    for operator, expected in {
        "<": KEYS[:2],
        "<=": KEYS[:3],
        "=": KEYS[2:3],
        ">=": [*KEYS[2:], "META", "V#1"],
        ">": [*KEYS[3:], "META", "V#1"],
    }.items():
        assert query(client, f"pk = :pk AND sk {operator} :0", "L#004") == expected
    assert query(client, "pk = :pk AND begins_with(sk, :0)", "none") == []


def test_a_page_ends_at_a_megabyte(emulator: Emulator) -> None:
    client = fill(emulator, "x" * 100_000)
    page = client.query(
        TableName="rows",
        KeyConditionExpression="pk = :pk AND begins_with(sk, :0)",
        ExpressionAttributeValues={":pk": {"S": "one"}, ":0": {"S": "L#"}},
    )
    assert len(page["Items"]) == 10
    assert page["LastEvaluatedKey"]["sk"] == {"S": KEYS[9]}
    assert query(client, "pk = :pk AND begins_with(sk, :0)", "L#") == KEYS


def test_a_count_and_a_projection(emulator: Emulator) -> None:
    client = fill(emulator)
    asked = {"TableName": "rows", "KeyConditionExpression": "pk = :pk AND sk >= :0"}
    values = {":pk": {"S": "one"}, ":0": {"S": "L#050"}}
    assert client.query(**asked, ExpressionAttributeValues=values, Select="COUNT")["Count"] == 7
    some = client.query(**asked, ExpressionAttributeValues=values, ProjectionExpression="sk", Limit=1)["Items"]
    assert some == [{"sk": {"S": "L#050"}}]
    with pytest.raises(client.exceptions.ClientError, match="missed key schema element"):
        client.query(**asked | {"KeyConditionExpression": "v = :pk AND sk >= :0"}, ExpressionAttributeValues=values)
