"""Keeps the house of budgets: returns what crashed calls held, and looks for thresholds that were crossed."""

from typing import Any

from opencode_cloud.budgets.service import Alerting, Sweep
from opencode_cloud.budgets.store import AlertQueue, CounterStore
from opencode_cloud.budgets.stream import BudgetsKeeper
from opencode_cloud.kit import settings
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.dynamodb import DynamoDB
from opencode_cloud.kit.queues import Dispatch

usage = settings.text("USAGE_TABLE")
store = CounterStore(DynamoDB(), settings.text("BUDGETS_TABLE"), usage)
keeper = BudgetsKeeper(Sweep(store), Alerting(store, AlertQueue(settings.text("ALERTS_QUEUE_URL"))))
dispatch = Dispatch({}, keeper.tick, {usage: keeper.follow})


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Take in one batch of settled calls, or the tick of each minute."""
    return dispatch.handle(event)
