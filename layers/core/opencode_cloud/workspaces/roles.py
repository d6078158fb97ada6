"""Write docs/roles.md from the table of permissions: ``python -m opencode_cloud.workspaces.roles``."""

from __future__ import annotations

import sys

from opencode_cloud.contracts.permissions import (
    GRANTS,
    LEADS_TO,
    PERSONS_ONLY,
    SCOPES,
    KeyScope,
    Permission,
    Reach,
    Role,
)

HEAD = """# Roles, scopes and permissions

Written from `contracts/permissions.py` by `make roles`; a test keeps the two alike. Every route of the API names the
permission that it asks for as `x-permission` ([API](openapi.json)).

A **role** is what a member is in a workspace. Besides the table: only owners appoint, change and remove owners, and a
workspace always has an owner.

A key's **scopes** bound what it may be used for. A key may do what both its scopes and its holder's role allow, within
its limits (models, IP ranges, expiry), wherever it is used. A **service account** has the role `admin`.

A permission is judged by what its holder can reach with it (last column), not by its name. The roles stand for a person
who is signed in, by a browser's session or a device's token.

"""

DETOURS = """
Three more rules close the detours of permissions that keys do have:

- `key:own`, `key:manage`, `service_account:manage`: a key that a key makes has no wider limits than its maker, and ends
  with it ([Workspaces](workspaces.md)).
- `provider:manage`: only a person sets the address of a provider (`base_url`). Its answers call tools on members'
  machines.
- `configuration:manage`: an admin may publish a configuration, but only an owner its programs
  ([Configuration](configuration.md)).
"""


def document() -> str:
    """Return the text of docs/roles.md."""
    names = [*Role, *(f"key: {scope}" for scope in KeyScope)]
    lines = [f"| | {' | '.join(names)} | leads to |", f"|---|{':-:|' * len(names)}---|"]
    for permission in Permission:
        granted = [permission in GRANTS[role] for role in Role]
        granted += [permission in SCOPES[scope] for scope in KeyScope]
        cells = " | ".join("yes" if permitted else "·" for permitted in granted)
        lines.append(f"| `{permission}` | {cells} | {LEADS_TO[permission]} |")
    reaches = ["", "| A permission that | person | key |", "|---|:-:|:-:|"]
    reaches += [f"| {reach} | yes | {'never' if reach in PERSONS_ONLY else 'by scope'} |" for reach in Reach]
    return HEAD + "\n".join([*lines, *reaches]) + "\n" + DETOURS


if __name__ == "__main__":
    sys.stdout.write(document())
