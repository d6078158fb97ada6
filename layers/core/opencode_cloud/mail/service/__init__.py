"""Rules of mail, free of AWS and HTTP."""

from opencode_cloud.mail.service.queueing import Mailer
from opencode_cloud.mail.service.sending import Sending

__all__ = ["Mailer", "Sending"]
