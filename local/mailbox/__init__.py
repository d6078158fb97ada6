"""The local stage's mailbox: it receives every mail, and shows it on a page."""

from local.mailbox.client import Mailbox, ReceivedMail

__all__ = ["Mailbox", "ReceivedMail"]
