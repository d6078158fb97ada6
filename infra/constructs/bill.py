"""An alarm on the bill: AWS Budgets compares the month's cost of the account with an amount."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from aws_cdk import aws_budgets as budgets
from constructs import Construct


def watch_bill(scope: Construct, stage_name: str, dollars: int, address: str) -> None:
    """Send a mail to `address` when the month has cost 80 % of `dollars`, and when the forecast exceeds all of it."""
    budgets.CfnBudget(
        scope,
        "Bill",
        budget=budgets.CfnBudget.BudgetDataProperty(
            budget_name=f"opencode-cloud-{stage_name}",
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=dollars, unit="USD"),
        ),
        notifications_with_subscribers=[
            _mail("ACTUAL", 80, address),
            _mail("FORECASTED", 100, address),
        ],
    )


def _mail(kind: str, percent: int, address: str) -> budgets.CfnBudget.NotificationWithSubscribersProperty:
    return budgets.CfnBudget.NotificationWithSubscribersProperty(
        notification=budgets.CfnBudget.NotificationProperty(
            comparison_operator="GREATER_THAN",
            notification_type=kind,
            threshold=percent,
            threshold_type="PERCENTAGE",
        ),
        subscribers=[budgets.CfnBudget.SubscriberProperty(address=address, subscription_type="EMAIL")],
    )
