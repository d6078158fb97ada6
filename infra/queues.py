"""All queues between functions. A declaration is sufficient.

From it follow the queue, its dead-letter queue with an alarm, the event source of the consumer, the rights of consumer
and producers, and the environment variable with the URL for functions that declare it in their settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass

TIMEOUTS = {
    "relay": 60,
    "mail": 60,
    # An export reads millions of rows.
    "ledger": 300,
    "purge": 60,
    "payments": 60,
}
"""Time limit of a consumer for one batch, in seconds."""

PROMPT_ATTEMPTS = 50
"""Attempts before a message counts as failed: it must outlast a database that is away for half an hour."""


@dataclass(frozen=True, kw_only=True)
class QueueDeclaration:
    """A queue, by the functions at both ends."""

    consumer: str
    producers: tuple[str, ...]
    variable: str
    """The environment variable with the URL."""
    max_receives: int = PROMPT_ATTEMPTS
    """Number of receives before a message goes to the dead-letter queue."""
    batch: int = 10
    """Number of messages in one batch of the consumer."""
    concurrency: int = 5
    """Batches that the consumer works on at one time: from 2, Lambda's minimum for a queue."""
    timeouts_hidden: int = 1
    """Timeouts of the consumer during which a received message is hidden from other receives."""

    @property
    def visibility_seconds(self) -> int:
        """Return the seconds during which a received message is hidden."""
        return self.timeouts_hidden * TIMEOUTS[self.consumer]


CONSOLE_QUEUES: Mapping[str, QueueDeclaration] = {
    "relay": QueueDeclaration(
        consumer="relay",
        producers=("console", "relay", "ledger", "operate", "payments"),
        variable="RELAY_QUEUE_URL",
        # Revoked credentials wait in it.
        concurrency=20,
    ),
    "audit": QueueDeclaration(
        consumer="relay", producers=("gateway", "hub", "identity", "live", "share"), variable="AUDIT_QUEUE_URL"
    ),
    "mail": QueueDeclaration(
        consumer="mail",
        producers=("console", "relay", "mail", "ledger", "operate", "payments"),
        variable="MAIL_QUEUE_URL",
        # SES admits 14 mails a second in a new account.
        concurrency=2,
    ),
    "alerts": QueueDeclaration(consumer="ledger", producers=("budgets",), variable="ALERTS_QUEUE_URL"),
    "webhooks": QueueDeclaration(
        consumer="ledger",
        producers=("console", "relay", "ledger", "operate", "payments"),
        variable="WEBHOOKS_QUEUE_URL",
    ),
    "export": QueueDeclaration(consumer="ledger", producers=("console", "ledger"), variable="EXPORTS_QUEUE_URL"),
    "reloads": QueueDeclaration(
        consumer="payments",
        producers=("console", "relay", "ledger", "operate", "payments"),
        variable="RELOADS_QUEUE_URL",
        # One charge asks Stripe up to five times.
        batch=1,
    ),
}
"""Queues of the data stack; each has the dead-letter queue `<name>Failed`."""

SHARING_QUEUES: Mapping[str, QueueDeclaration] = {
    "purges": QueueDeclaration(
        consumer="purge",
        producers=("hub", "share", "purge", "relay"),
        variable="PURGE_QUEUE_URL",
        max_receives=10,
        batch=1,
        # AWS's advice: six times the function's timeout, so that no attempt overlaps with the next.
        timeouts_hidden=6,
    ),
}
"""Queues of the sharing stack; each shares the dead-letter queue of its consumer."""
