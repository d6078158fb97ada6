"""The local stage's mailbox: takes every mail that is sent, to whomever, and shows it on a page."""

from local.mailbox.client import Mailbox, ReceivedMail

__all__ = ["Mailbox", "ReceivedMail"]
