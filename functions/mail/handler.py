"""Sends queued mails and records the delivery events of SES."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import mail
    from opencode_cloud.kit.settings import load

    handler = mail.build(load(mail.MailSettings))
