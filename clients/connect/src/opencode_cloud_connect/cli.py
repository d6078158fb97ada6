"""The command ``opencode-cloud``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from opencode_cloud_connect.access import Wishes
from opencode_cloud_connect.agents import AGENTS, Places
from opencode_cloud_connect.connecting import Connector
from opencode_cloud_connect.errors import ConnectError
from opencode_cloud_connect.terminal import standard

HOST_VARIABLE = "OPENCODE_CLOUD_URL"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(prog="opencode-cloud", description="Connect coding agents to Opencode Cloud.")
    commands = whole.add_subparsers(dest="command", required=True)
    connect = commands.add_parser("connect", help="log in, make a key, and write the agent's configuration")
    connect.add_argument("agents", nargs="+", choices=list(AGENTS), metavar="AGENT", help=", ".join(AGENTS))
    connect.add_argument("--host", default=os.environ.get(HOST_VARIABLE, ""), help="https://cloud.example.com")
    connect.add_argument("--workspace", default="", help="its id or name, where you have several")
    connect.add_argument("--model", default="", help="the model to begin with")
    connect.add_argument("--small-model", default="", help="the model for titles and summaries")
    connect.add_argument("--expires-at", default="", help="when the key ends, such as 2027-01-31T00:00:00Z")
    connect.add_argument("--new-key", action="store_true", help="make a new key, also where the old one works")
    connect.add_argument("--print", action="store_true", dest="print_only", help="print variables, write no files")
    connect.add_argument("--yes", action="store_true", help="write without asking")
    disconnect = commands.add_parser("disconnect", help="restore the agent's configuration")
    disconnect.add_argument("agents", nargs="+", choices=list(AGENTS), metavar="AGENT", help=", ".join(AGENTS))
    disconnect.add_argument("--revoke", action="store_true", help="also revoke the key (logs in)")
    disconnect.add_argument("--yes", action="store_true", help="restore without asking")
    commands.add_parser("status", help="list connected agents")
    return whole


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, and exit with 1 and a sentence for an error."""
    try:
        run(parser().parse_args(arguments))
    except ConnectError as error:
        sys.stderr.write(f"opencode-cloud: {error}\n")
        sys.exit(1)
    except OSError as error:
        sys.stderr.write(f"opencode-cloud: {error.filename or 'A file'}: {error.strerror or error}. [file_failed]\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def run(options: argparse.Namespace) -> None:
    """Run a parsed command."""
    terminal = standard(yes=getattr(options, "yes", False))
    wishes = Wishes()
    if options.command == "connect":
        wishes = Wishes(
            host=options.host,
            workspace=options.workspace,
            model=options.model,
            small_model=options.small_model,
            expires_at=options.expires_at,
            new_key=options.new_key,
            print_only=options.print_only,
        )
    connector = Connector(Places(Path.home(), os.environ), terminal, wishes)
    try:
        if options.command == "status":
            connector.status()
            return
        for name in options.agents:
            if options.command == "connect":
                connector.connect(AGENTS[name])
            else:
                connector.disconnect(AGENTS[name], revoke=options.revoke)
    finally:
        connector.close()
