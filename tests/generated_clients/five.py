"""Five operations by the generated client: `python five.py URL TOKEN WORKSPACE`. It prints the answers as JSON."""

import json
import sys

from opencode_api import AuthenticatedClient
from opencode_api.api.audit import export_audit_trail
from opencode_api.api.keys import create_key, list_keys, rename_or_narrow_key
from opencode_api.api.workspaces import read_workspace
from opencode_api.models import Key, KeyChange, KeyRequest, KeyScope, NewKey, PageKey, Workspace


def main(url: str, token: str, workspace: str) -> None:
    """Read a workspace; create, narrow and list keys; export the audit trail."""
    client = AuthenticatedClient(url, token)
    read = read_workspace.sync(workspace, client=client)
    assert isinstance(read, Workspace), read
    made = create_key.sync(workspace, client=client, body=KeyRequest("typed", scopes=[KeyScope.USAGE]))
    assert isinstance(made, NewKey), made
    narrowed = rename_or_narrow_key.sync(workspace, made.id, client=client, body=KeyChange(name="narrowed"))
    assert isinstance(narrowed, Key), narrowed
    listed = list_keys.sync(workspace, client=client)
    assert isinstance(listed, PageKey), listed
    exported = export_audit_trail.sync(workspace, client=client)
    assert isinstance(exported, str), exported
    answers = {
        "workspace": read.name,
        "secret": made.secret,
        "narrowed": narrowed.name,
        "listed": [key.name for key in listed.data],
        "exported": exported,
    }
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
