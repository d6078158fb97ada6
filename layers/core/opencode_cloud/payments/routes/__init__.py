"""HTTP routes of payments."""

from opencode_cloud.payments.routes.auto_reload import AutoReloadRoutes
from opencode_cloud.payments.routes.documents import InvoiceRoutes
from opencode_cloud.payments.routes.plans import PlanRoutes
from opencode_cloud.payments.routes.refunds import RefundRoutes
from opencode_cloud.payments.routes.top_ups import TopUpRoutes
from opencode_cloud.payments.routes.webhook import WEBHOOK_PATH, answer_webhook

__all__ = [
    "WEBHOOK_PATH",
    "AutoReloadRoutes",
    "InvoiceRoutes",
    "PlanRoutes",
    "RefundRoutes",
    "TopUpRoutes",
    "answer_webhook",
]
