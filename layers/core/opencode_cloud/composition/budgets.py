"""The function `budgets`: reaps the leases of crashed calls and detects crossed thresholds."""

from __future__ import annotations

from opencode_cloud.budgets.service import LeaseReaper, ThresholdDetector
from opencode_cloud.budgets.store import AlertQueue, CounterStore
from opencode_cloud.budgets.stream import BudgetsKeeper
from opencode_cloud.composition.settings import AlertsQueueUrl, BudgetsTable, UsageTable
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.kit.event_dispatch import Dispatch
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.settings import FunctionSettings


class BudgetsSettings(FunctionSettings):
    """Environment variables of the function."""

    budgets_table: BudgetsTable
    usage_table: UsageTable
    alerts_queue_url: AlertsQueueUrl


def build(settings: BudgetsSettings) -> Handler:
    """Return the handler."""
    store = CounterStore(AsyncDynamoDB(), settings.budgets_table, settings.usage_table)
    keeper = BudgetsKeeper(LeaseReaper(store), ThresholdDetector(store, AlertQueue(settings.alerts_queue_url)))
    dispatch = Dispatch({}, keeper.tick, {settings.usage_table: keeper.follow})
    return frame(lambda event, _context: dispatch.handle(event))
