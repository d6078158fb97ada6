"""Write docs/roles.md from the table of permissions: ``python -m opencode_cloud.workspaces.roles``."""

from __future__ import annotations

import sys

from opencode_cloud.contracts.permissions import GRANTS, SCOPES, KeyScope, Permission, Role

HEAD = """# Roles, scopes and permissions

Written from `contracts/permissions.py` by `make roles`; a test keeps the two alike. Every route of the API names the
permission that it asks for as `x-permission` ([API](openapi.json)).

A **role** is what a member is in a workspace. Besides the table: only owners appoint, change and remove owners, and a
workspace always has an owner.

A key's **scopes** bound what it may be used for. A key may do what both its scopes and its holder's role allow, within
its limits (models, IP ranges, expiry), wherever it is used. A **service account** has the role `admin`. No scope
includes actions that only a person may do, such as inviting members.

"""


def document() -> str:
    """Return the text of docs/roles.md."""
    names = [*Role, *(f"key: {scope}" for scope in KeyScope)]
    lines = [f"| | {' | '.join(names)} |", f"|---|{':-:|' * len(names)}"]
    for permission in Permission:
        granted = [permission in GRANTS[role] for role in Role]
        granted += [permission in SCOPES[scope] for scope in KeyScope]
        lines.append(f"| `{permission}` | {' | '.join('yes' if permitted else '·' for permitted in granted)} |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
