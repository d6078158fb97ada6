"""Queue a mail in the transaction of the change that it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opencode_cloud.contracts.ids import MailId, WorkspaceId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.mail_addresses import mailable_address
from opencode_cloud.mail.models import Mail

if TYPE_CHECKING:
    from opencode_cloud.mail.store import MailStore
    from opencode_cloud.outbox.service import UnitOfWork


class Mailer:
    """Queues mails: the outbox carries their ids to ``functions/mail``, which renders and sends them."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    def queue(
        self,
        unit: UnitOfWork,
        template: Template,
        recipient: str,
        variables: dict[str, Any],
        workspace_id: WorkspaceId | None = None,
        *,
        again: bool = False,
    ) -> MailId:
        """Queue a mail in ``unit`` and return its id; its row records the result.

        ``variables`` are those that :class:`Template` names. None may be a secret: rows and queues are no place for
        one, so links and codes are derived when the mail is sent (``kit/derived_secrets.py``). ``again``: somebody
        asked for it to be sent once more, so it is tried although an earlier one bounced. The mail goes to the A-label
        of the recipient's domain; raises :class:`InvalidMailAddress` for an address that cannot be mailed.
        """
        now, recipient = utc_now(), mailable_address(recipient)
        mail = Mail(
            id=MailId(new_id("mai")),
            template=template,
            recipient=recipient,
            variables=variables,
            workspace_id=workspace_id,
            created_at=now,
            updated_at=now,
        )
        if again:
            self._store.lift_bounce(unit.connection, recipient)
        self._store.add(unit.connection, mail)
        unit.emit(Topic.MAIL, mail.id)
        return mail.id
