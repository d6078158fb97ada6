"""Where mails are kept, and the ways out: the only room of the feature that knows SQL or AWS."""

from opencode_cloud.mail.store.mail_queue import MailQueue
from opencode_cloud.mail.store.mails import MailStore
from opencode_cloud.mail.store.transport import SesTransport

__all__ = ["MailQueue", "MailStore", "SesTransport"]
