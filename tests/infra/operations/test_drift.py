"""Changes by hand in a deployed stage."""

from typing import Any

import pytest

from infra.operations.drift import POLL_SECONDS, DriftUnknown, drift
from infra.operations.stages import STACKS
from infra.stage import load
from tests.infra.operations.stubs import stubbed

STARTED = "2026-01-01T00:00:00Z"
DATA = "opencode-cloud-dev-data"


def deployed(stub: Any, stack: str) -> None:
    """Let only `stack` of the stage exist."""
    for each in STACKS:
        if each == stack:
            it = {"StackName": each, "CreationTime": STARTED, "StackStatus": "CREATE_COMPLETE"}
            stub.add_response("describe_stacks", {"Stacks": [it]})
        else:
            stub.add_client_error("describe_stacks", "ValidationError", f"Stack with id {each} does not exist")
    stub.add_response("detect_stack_drift", {"StackDriftDetectionId": "d1"}, {"StackName": DATA})


def detected(stub: Any, status: str, **more: str) -> None:
    answer = {"StackId": "s", "StackDriftDetectionId": "d1", "DetectionStatus": status, "Timestamp": STARTED, **more}
    stub.add_response("describe_stack_drift_detection_status", answer, {"StackDriftDetectionId": "d1"})


def changed(name: str, kind: str, status: str, *differences: tuple[str, str]) -> dict[str, Any]:
    return {
        "StackId": "s",
        "LogicalResourceId": name,
        "ResourceType": kind,
        "StackResourceDriftStatus": status,
        "Timestamp": STARTED,
        "PropertyDifferences": [
            {"PropertyPath": path, "ExpectedValue": "secret", "ActualValue": "other", "DifferenceType": difference}
            for path, difference in differences
        ],
    }


def test_each_change_is_a_line_without_its_values() -> None:
    client, stub = stubbed("cloudformation")
    deployed(stub, "data")
    detected(stub, "DETECTION_IN_PROGRESS")
    detected(stub, "DETECTION_COMPLETE")
    asked = {"StackName": DATA, "StackResourceDriftStatusFilters": ["MODIFIED", "DELETED"]}
    table = changed("Shares", "AWS::DynamoDB::GlobalTable", "MODIFIED", ("/BillingMode", "NOT_EQUAL"))
    bucket = changed("Bodies", "AWS::S3::Bucket", "MODIFIED", ("/Tags/1", "ADD"), ("/CorsConfiguration", "REMOVE"))
    queue = changed("Mail", "AWS::SQS::Queue", "DELETED")
    page = {"StackResourceDrifts": [table, bucket], "NextToken": "more"}
    stub.add_response("describe_stack_resource_drifts", page, asked)
    stub.add_response(
        "describe_stack_resource_drifts", {"StackResourceDrifts": [queue]}, {**asked, "NextToken": "more"}
    )
    waited: list[float] = []
    assert list(drift(client, load("dev", environ={}), waited.append)) == [
        f"{DATA}: Shares (AWS::DynamoDB::GlobalTable) has another value in /BillingMode",
        f"{DATA}: Bodies (AWS::S3::Bucket) has more in /Tags/1",
        f"{DATA}: Bodies (AWS::S3::Bucket) lacks /CorsConfiguration",
        f"{DATA}: Mail (AWS::SQS::Queue) was deleted",
    ]
    stub.assert_no_pending_responses()
    assert waited == [POLL_SECONDS]


def test_a_comparison_that_fails_is_no_good_news() -> None:
    client, stub = stubbed("cloudformation")
    deployed(stub, "data")
    detected(stub, "DETECTION_FAILED", DetectionStatusReason="Access denied")
    with pytest.raises(DriftUnknown, match=r"data: Access denied"):
        list(drift(client, load("dev", environ={})))


def test_a_comparison_without_an_end_is_given_up() -> None:
    client, stub = stubbed("cloudformation")
    deployed(stub, "data")
    for _ in range(180):
        detected(stub, "DETECTION_IN_PROGRESS")
    with pytest.raises(DriftUnknown, match="15 minutes"):
        list(drift(client, load("dev", environ={}), lambda _: None))
