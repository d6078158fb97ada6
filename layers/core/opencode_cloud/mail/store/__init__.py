"""Where mails are kept, and the ways out: the only room of the feature that knows SQL or AWS."""

from opencode_cloud.mail.store.mails import MailStore

__all__ = ["MailStore"]
