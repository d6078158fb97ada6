"""Builds the services of workspaces and keys over one database, for functions, the operators' command and tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.budgets.service import BudgetSubjects
from opencode_cloud.budgets.service.group_budgets import GroupBudgets
from opencode_cloud.budgets.store.budgets import BudgetStore
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.keys.service import Credentials, Keys
from opencode_cloud.keys.service.keys import Uses
from opencode_cloud.keys.store import CredentialStore, KeyStore, ProviderClient, Vault
from opencode_cloud.mail.service import Mailer
from opencode_cloud.mail.store import MailStore
from opencode_cloud.workspaces.service import (
    Domains,
    Groups,
    Invitations,
    Joining,
    Members,
    ServiceAccounts,
    Workspaces,
    WorkspaceStores,
)
from opencode_cloud.workspaces.services import WorkspaceServices
from opencode_cloud.workspaces.store import (
    DomainStore,
    GroupStore,
    InvitationStore,
    MemberStore,
    Resolver,
    ServiceAccountStore,
    WorkspaceStore,
)

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.outbox.service import Outbox


def workspace_services(
    database: Database,
    outbox: Outbox,
    deployment_key: Callable[[], str],
    credentials_key: str,
    key_uses: Uses,
    forget_shares: Callable[[WorkspaceId], None],
    *,
    dns_server: str = "",
    check_domains: bool = True,
    private_providers: bool = False,
) -> WorkspaceServices:
    """Build the services.

    Args:
        database: The console plane's database.
        outbox: The outbox of the same database.
        deployment_key: Returns the secret from which links of invitations are derived.
        credentials_key: ARN of the KMS key that encrypts providers' keys.
        key_uses: Returns the times of the last uses of keys.
        forget_shares: Requests the removal of all shares of a deleted workspace.
        dns_server: DNS server for proofs of domains (``address:port``); empty: the machine's own.
        check_domains: True to check by DNS that an invited address can get mail.
        private_providers: True if providers may be in private networks and use plain http.
    """
    audit = AuditTrail(AuditStore())
    mailer = Mailer(MailStore(database))
    stores = WorkspaceStores(WorkspaceStore(), MemberStore(), DomainStore(), ServiceAccountStore())
    joining = Joining(stores.members, audit)
    budgets, groups = BudgetSubjects(BudgetStore()), GroupStore()
    keys = Keys(database, outbox, audit, KeyStore(), mailer, key_uses, budgets)
    invitations = Invitations(
        database,
        outbox,
        audit,
        stores.workspaces,
        stores.members,
        InvitationStore(),
        joining,
        mailer,
        deployment_key,
        check_domains=check_domains,
    )
    return WorkspaceServices(
        workspaces=Workspaces(database, outbox, audit, stores, joining, keys, forget_shares),
        members=Members(
            database, outbox, audit, stores.workspaces, stores.members, invitations, keys, mailer, budgets, groups
        ),
        groups=Groups(
            database, outbox, audit, stores.workspaces, stores.members, groups, budgets, GroupBudgets(BudgetStore())
        ),
        invitations=invitations,
        domains=Domains(database, outbox, audit, stores.workspaces, stores.domains, Resolver(dns_server)),
        service_accounts=ServiceAccounts(
            database, outbox, audit, stores.workspaces, stores.service_accounts, keys, budgets
        ),
        keys=keys,
        credentials=Credentials(
            database,
            outbox,
            audit,
            CredentialStore(),
            Vault(credentials_key),
            ProviderClient(private=private_providers),
            private=private_providers,
        ),
    )
