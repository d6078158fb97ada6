"""Builds the pages of identity, for the functions of the console plane and for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.identity.pages import IdentityPages, IdentityServices
from opencode_cloud.identity.service.challenges import Challenges
from opencode_cloud.identity.service.clients import Clients
from opencode_cloud.identity.service.devices import Devices
from opencode_cloud.identity.service.exchanges import OAuthServices
from opencode_cloud.identity.service.logins import Logins
from opencode_cloud.identity.service.methods import CurrentMethods, Methods
from opencode_cloud.identity.service.server import OAuth
from opencode_cloud.identity.service.sessions import Sessions
from opencode_cloud.identity.service.signing_in import SigningIn
from opencode_cloud.identity.service.tokens import AccessTokens
from opencode_cloud.identity.store.accounts import AccountsStore
from opencode_cloud.identity.store.codes import CodesStore
from opencode_cloud.identity.store.keys import SigningKeys
from opencode_cloud.identity.store.sessions import SessionsStore
from opencode_cloud.kit import aws
from opencode_cloud.kit.rate_limits import RateLimiter
from opencode_cloud.mail.service import Mailer
from opencode_cloud.mail.store import MailStore

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.identity.providers import Providers
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.outbox.service import Outbox
    from opencode_cloud.workspaces.services import WorkspaceServices


def login_methods(stage: str, secret_arn: str) -> CurrentMethods:
    """Return the login methods, from the settings of the stage and the secret ``secret_arn``; see ``Methods.parse``."""
    return CurrentMethods(lambda: Methods.parse(stage, aws.secrets_manager().secret(secret_arn)))


@cache
def _providers() -> Providers:
    from opencode_cloud.identity.providers import Providers  # its clients take a tenth of the start of `console`

    return Providers()


def identity_pages(
    database: Database,
    outbox: Outbox,
    access: Access,
    team: WorkspaceServices,
    deployment_key: Callable[[], str],
    methods: CurrentMethods,
    *,
    sessions_table: str,
    signing_keys: Sequence[str],
    redirects: Sequence[str],
    public_url: str,
) -> IdentityPages:
    """Return the pages of identity over the parts of the console plane."""
    codes, audit, clients = CodesStore(sessions_table), AuditTrail(AuditStore()), Clients(redirects)
    tokens = AccessTokens(SigningKeys(signing_keys, sessions_table))
    sessions = Sessions(SessionsStore(sessions_table), tokens, deployment_key)
    devices = Devices(codes, deployment_key)
    return IdentityPages(
        IdentityServices(
            access=access,
            sessions=sessions,
            devices=devices,
            clients=clients,
            oauth=OAuth(OAuthServices(clients, sessions, devices, codes, access.may_sign_in)),
            methods=methods,
            logins=Logins(codes, _providers, deployment_key),
            challenges=Challenges(outbox, codes, Mailer(MailStore(database)), deployment_key),
            signing_in=SigningIn(outbox, AccountsStore(), audit, team.workspaces, team.invitations),
            outbox=outbox,
            audit=audit,
            limiter=RateLimiter(sessions_table),
            key=deployment_key,
            public_url=public_url,
        )
    )
