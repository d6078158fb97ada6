"""Storage of mails, and the mail service. Only this package of the feature knows SQL or AWS."""

from opencode_cloud.mail.store.mail_queue import MailQueue
from opencode_cloud.mail.store.mails import MailStore
from opencode_cloud.mail.store.transport import SesTransport

__all__ = ["MailQueue", "MailStore", "SesTransport"]
