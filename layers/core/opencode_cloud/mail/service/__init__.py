"""Rules of mail, free of AWS and HTTP."""

from opencode_cloud.mail.service.queueing import Mailer

__all__ = ["Mailer"]
