"""The queue of reloads, refunds, seats and second subscriptions."""

from __future__ import annotations

import json
from collections.abc import Sequence

from opencode_cloud.contracts.ids import RefundOrderId, SecondSubscriptionId, WorkspaceId
from opencode_cloud.kit import aws


class ReloadQueue:
    """The queue from which the function ``payments`` takes its work. Each counts once, if queued twice."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, workspace_ids: Sequence[WorkspaceId]) -> None:
        """Queue the reloads of workspaces."""
        for workspace_id in workspace_ids:
            aws.sqs().send_message(self._url, json.dumps({"workspace": workspace_id}))

    def send_seats(self, workspace_ids: Sequence[WorkspaceId]) -> None:
        """Queue workspaces whose number of seats may have changed."""
        for workspace_id in workspace_ids:
            aws.sqs().send_message(self._url, json.dumps({"seats": workspace_id}))

    def send_refunds(self, order_ids: Sequence[RefundOrderId]) -> None:
        """Queue orders of refunds."""
        for order_id in order_ids:
            aws.sqs().send_message(self._url, json.dumps({"refund": order_id}))

    def send_second(self, second_ids: Sequence[SecondSubscriptionId]) -> None:
        """Queue second subscriptions, which are canceled."""
        for second_id in second_ids:
            aws.sqs().send_message(self._url, json.dumps({"second": second_id}))
