"""Keeps the time of MiniStack's Query independent of the size of a partition.

As shipped it parses the key condition for every row of the partition: 10,000 rows take half a second, unlike AWS. Here
conditions are parsed once, and rows outside the requested range are skipped.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

KEY_CONDITION = re.compile(
    r"^\s*\(?\s*(?P<partition>[#\w]+)\s*=\s*(?P<partition_value>:\w+)\s*\)?\s+AND\s+\(?\s*(?:"
    r"(?P<name>[#\w]+)\s*(?P<operator><=|>=|<|>|=)\s*(?P<value>:\w+)"
    r"|(?P<between>[#\w]+)\s+BETWEEN\s+(?P<low>:\w+)\s+AND\s+(?P<high>:\w+)"
    r"|begins_with\s*\(\s*(?P<begins>[#\w]+)\s*,\s*(?P<prefix>:\w+)\s*\)"
    r")\s*\)?\s*$",
    re.IGNORECASE,
)
"""Conditions on a partition key and a sort key. MiniStack handles other forms itself, slowly."""

PAGE_BYTES = 2 * 1024 * 1024
"""Bytes of rows that exceed a page, which AWS ends at 1 MB."""

Test = Callable[[str], bool]


def install() -> None:
    """Hook into MiniStack's DynamoDB."""
    dynamodb: Any = import_module("ministack.services.dynamodb")
    tokenize: Callable[[str], list[Any]] = lru_cache(4096)(dynamodb._tokenize)

    def tokens_of(expression: str) -> list[Any]:
        return list(tokenize(expression))  # a separate list for each caller, because some callers remove tokens

    dynamodb._tokenize = tokens_of
    dynamodb._condition_syntax_error = lru_cache(4096)(dynamodb._condition_syntax_error)
    query = dynamodb._query

    def narrowed_query(data: dict[str, Any]) -> Any:
        partitions, key, wanted = select_rows(dynamodb, data)
        if wanted is None:
            return query(data)
        whole = partitions[key]
        partitions[key] = wanted
        try:
            return query(data)
        finally:
            partitions[key] = whole

    dynamodb._query = narrowed_query


def select_rows(dynamodb: Any, data: dict[str, Any]) -> tuple[dict[Any, Any], Any, dict[str, Any] | None]:
    """Return the table's partitions, the requested partition's key, and its rows that can be in the answer.

    The rows are None where the request is not of the common kind.
    """
    table = dynamodb._tables.get(dynamodb._normalize_table_name(data.get("TableName")))
    condition = parse(data)
    if not table or condition is None:
        return {}, None, None
    partition_name, partition, sort_name, inside = condition
    rows = table["items"].get(partition)
    if not rows or (table["pk_name"], table["sk_name"]) != (partition_name, sort_name):
        return {}, None, None
    return table["items"], partition, first_page(rows, inside, data, sort_name)


def parse(data: dict[str, Any]) -> tuple[str, str, str, Test] | None:
    """Return partition key, its value, sort key and a test of sort values, or None for another kind of request."""
    match = KEY_CONDITION.match(data.get("KeyConditionExpression") or "")
    if not match or data.get("IndexName"):
        return None
    names: dict[str, str] = data.get("ExpressionAttributeNames") or {}
    values: dict[str, dict[str, Any]] = data.get("ExpressionAttributeValues") or {}

    def text(group: str) -> Any:
        return values.get(match[group], {}).get("S")

    sort_name = match["name"] or match["between"] or match["begins"]
    test = test_of(match, text)
    partition = text("partition_value")
    if test is None or not isinstance(partition, str):
        return None
    return names.get(match["partition"], match["partition"]), partition, names.get(sort_name, sort_name), test


def test_of(match: "re.Match[str]", text: Callable[[str], Any]) -> Test | None:
    """Return the test of sort values in a key condition; None when its operands are not strings."""
    groups = ("low", "high") if match["between"] else ("prefix",) if match["begins"] else ("value",)
    operands = [text(group) for group in groups]
    if not all(isinstance(operand, str) for operand in operands):
        return None
    first, last = operands[0], operands[-1]
    if match["between"]:
        return lambda key: first <= key <= last
    if match["begins"]:
        return lambda key: key.startswith(first)
    tests: dict[str, Test] = {
        "<": lambda key: key < first,
        "<=": lambda key: key <= first,
        "=": lambda key: key == first,
        ">": lambda key: key > first,
        ">=": lambda key: key >= first,
    }
    return tests[match["operator"]]


def first_page(rows: dict[str, Any], inside: Test, data: dict[str, Any], sort_name: str) -> dict[str, Any]:
    """Return the rows that `inside` accepts, from the cursor on, and no more than a page can hold."""
    backward = data.get("ScanIndexForward") is False
    start: dict[str, dict[str, str]] = data.get("ExclusiveStartKey") or {}
    cursor = start.get(sort_name, {}).get("S")
    keys = [key for key in rows if inside(key)]
    if cursor is not None:
        keys = [key for key in keys if (key < cursor if backward else key > cursor)]
    keys.sort(reverse=backward)
    limit = int(data.get("Limit") or len(keys))
    page: dict[str, Any] = {}
    size = 0
    for key in keys[: limit + 1]:
        page[key] = rows[key]
        values = (value for attribute in rows[key].values() for value in attribute.values())
        size += sum(len(value) for value in values if isinstance(value, str))
        if size > PAGE_BYTES:
            break
    return page
