"""The operators' command: people, workspaces, keys and shares of a deployment (``python -m opencode_cloud --help``).

It works with the AWS credentials of the person who runs it. It invokes the stage's function ``operate``, and reads the
secret that allows looking up and removing shares.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import urllib3

from opencode_cloud.billing.service.exporting import write_export
from opencode_cloud.kit import aws
from opencode_cloud.kit.money import MicroCents, parse_dollars
from opencode_cloud.operators.deployed import CallRejected, Deployed

SECRET_VARIABLE = "OPENCODE_CLOUD_ADMIN_SECRET"  # noqa: S105 - the name of a variable, not its value


class OperatorError(Exception):
    """The command failed; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 refused, 2 invalid arguments."""
    options = parser().parse_args(arguments)
    try:
        answer = _call_shares(options) if options.command in SHARE_COMMANDS else _invoke(options)
    except OperatorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{json.dumps(answer, indent=2)}\n")
    return 0


SHARE_COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "show": ("GET", "", "show a share"),
    "rescan": ("POST", "/rescan", "search a share for secrets by the present rules, and replace them"),
    "remove": ("DELETE", "", "remove a share for good"),
}
"""Method, end of the path, and purpose of each command."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m opencode_cloud",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stage", default=os.environ.get("STAGE", "dev"), help="default: $STAGE, else dev")
    parser.add_argument("--url", help="the deployment's URL; for shares, and for links in mails without a domain")
    parser.add_argument(
        "--secret-arn",
        help=f"for shares: the stack's output AdminSecretArn; else ${SECRET_VARIABLE} is used",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _people(commands)
    _catalogue(commands)
    _usage(commands)
    _billing(commands)
    _refunds(commands)
    for name, (_, _, purpose) in SHARE_COMMANDS.items():
        command = commands.add_parser(name, help=purpose)
        command.add_argument("share", help="the share's id, the last part of its link")
    return parser


def _people(commands: Any) -> None:
    add = commands.add_parser
    first = add(
        "first-owner", help="on a fresh deployment: create the first account and its workspace, and send a mail"
    )
    first.add_argument("--email", required=True)
    first.add_argument("--workspace", default="Team", help="name of the workspace (default: Team)")
    look = add("look-up", help="show a person or a workspace")
    look.add_argument("subject", help="e-mail address, acc_... or wrk_...")
    create = add("create-workspace", help="create a workspace; also creates an account if the owner has none")
    create.add_argument("--name", required=True)
    create.add_argument("--owner", required=True, help="e-mail address")
    key = add("create-key", help="create a service account with a key; the key is shown only once")
    key.add_argument("--workspace", required=True, help="wrk_...")
    key.add_argument("--name", required=True)
    key.add_argument("--scopes", nargs="+", default=["inference"], choices=["inference", "usage", "admin"])
    for name in ("block", "unblock"):
        blocked = add(name, help=f"{name} a person or a workspace; takes effect within seconds")
        blocked.add_argument("subject", help="e-mail address, acc_... or wrk_...")
    grant = add("grant", help="add to a workspace's prepaid balance; from then on the balance limits its calls")
    grant.add_argument("workspace", help="wrk_...")
    grant.add_argument("usd", type=_amount, help="dollars, such as 25 or -2.50")
    grant.add_argument("--reason", required=True, help="reason, for the audit trail")
    grant.add_argument("--key", help="idempotency key: a second grant with the same key changes nothing")
    grant.add_argument("--until", help="UTC, such as 2026-12-31T00:00:00; its rest is lost then; default: no end")
    project = add("project", help="rebuild the projections in DynamoDB from the database")
    project.add_argument("workspace", nargs="?", help="wrk_...; default: everything")
    well_known = add("well-known", help="show or publish the initial configuration after `opencode auth login`")
    well_known.add_argument("--config", type=Path, help="publish this configuration (JSON)")
    well_known.add_argument("--default", action="store_true", help="publish the default configuration")
    add("rotate-signing-key", help="sign access tokens with the next key; existing tokens stay valid")


def _catalogue(commands: Any) -> None:
    catalogue = commands.add_parser("catalogue", help="models, prices and routes: show, check and publish versions")
    add = catalogue.add_subparsers(dest="action", required=True).add_parser
    add("show", help="show the version in force: upstreams, models and their routes")
    add("versions", help="list versions, latest first")
    for action, purpose in (
        ("check", "list all errors in a document"),
        ("diff", "show the changes that a document would make"),
        ("publish", "show the changes of a document and publish it; takes effect within seconds"),
    ):
        command = add(action, help=purpose)
        command.add_argument("file", type=Path, help="the document (JSON, docs/catalogue.md)")
        if action == "publish":
            command.add_argument("--comment", default="", help="stored with the version")
    restore = add("restore", help="publish an older version again, with the prices that took effect since then")
    restore.add_argument("version", type=int)
    export = add("export", help="print the document, for editing or for another stage")
    export.add_argument("version", type=int, nargs="?", help="default: the version in force")


def _usage(commands: Any) -> None:
    usage = commands.add_parser("usage", help="correct the usage tables from the settled events")
    add = usage.add_subparsers(dest="action", required=True).add_parser
    replay = add("replay", help="ingest a day's events again; existing rows stay")
    replay.add_argument("day", help="UTC, such as 2026-11-25")
    replay.add_argument("--workspace", help="wrk_...; default: all")
    reconcile = add("reconcile", help="run the nightly comparison for one day of a workspace, and add missing events")
    reconcile.add_argument("day", help="UTC, such as 2026-11-25")
    reconcile.add_argument("--workspace", help="wrk_...", required=True)


def _billing(commands: Any) -> None:
    billing = commands.add_parser("billing", help="balances, months and checks of the ledger (docs/billing.md)")
    add = billing.add_subparsers(dest="action", required=True).add_parser
    adjust = add("adjust", help="add to a balance or take from it; above $100 a second operator must approve")
    adjust.add_argument("workspace", help="wrk_...")
    adjust.add_argument("usd", type=_amount, help="dollars, such as 25 or -2.50")
    adjust.add_argument("--reason", required=True, help="reason, for the audit trail")
    adjust.add_argument("--corrects", default="", help="ltx_... that it corrects")
    adjust.add_argument("--key", help="idempotency key: a second adjustment with the same key changes nothing")
    approve = add("approve", help="carry out an adjustment that another operator proposed")
    approve.add_argument("proposal", help="lpr_...")
    coupon = add("coupon", help="make a code that workspaces redeem for promotional credit, each once")
    coupon.add_argument("key", metavar="CODE")
    coupon.add_argument("usd", type=_amount, help="dollars for each workspace, such as 25")
    coupon.add_argument("--uses", type=int, required=True, help="how many workspaces may redeem it")
    coupon.add_argument("--until", default=None, help="UTC, such as 2026-12-31T00:00:00; default: no end")
    coupon.add_argument(
        "--credit-days", type=int, default=0, help="days from a redemption until its credit ends; default: no end"
    )
    coupon.add_argument("--reason", required=True, help="reason, for the audit trail")
    assign = add("assign", help="give a payment without an owner to a workspace")
    assign.add_argument("payment", help="pi_...")
    assign.add_argument("workspace", help="wrk_...")
    assign.add_argument("--reason", required=True, help="reason, for the audit trail")
    reverse = add("reverse", help="book the opposite of a grant, an adjustment or usage")
    reverse.add_argument("transaction", help="ltx_...")
    reverse.add_argument("--reason", required=True, help="reason, for the audit trail")
    close = add("close", help="close a month before the nightly run does, and write its statements")
    close.add_argument("period", help="such as 2026-11")
    statement = add("statement", help="show the statement of a workspace for a closed month")
    statement.add_argument("workspace", help="wrk_...")
    statement.add_argument("period", help="such as 2026-11")
    reconcile = add("reconcile", help="compare the books with themselves, with usage and with the gateway's limits")
    reconcile.add_argument("--days", type=int, default=2, help="complete days of usage to compare (default: 2)")
    add("verify", help="check the hash chain from its beginning")
    add("trial-balance", help="show the sums of all accounts; they add up to zero")
    add("checkpoint", help="sign the present end of the chain")
    export = add("export", help="write the ledger into a folder, for auditors and for accounting")
    export.add_argument("folder", type=Path)


def _refunds(commands: Any) -> None:
    refunds = commands.add_parser("refunds", help="pay payments back by Stripe, as a whole or in part (docs/stripe.md)")
    add = refunds.add_subparsers(dest="action", required=True).add_parser
    order = add("order", help="pay a payment back; above $100 a second operator must approve")
    order.add_argument("payment", help="pi_...")
    order.add_argument("usd", type=_amount, nargs="?", help="dollars, fee included; default: the rest")
    order.add_argument("--reason", required=True, help="reason, for the audit trail")
    order.add_argument("--key", help="idempotency key: a second order with the same key changes nothing")
    approve = add("approve", help="carry out a refund that a workspace or another operator proposed")
    approve.add_argument("order", help="rfd_...")
    reject = add("reject", help="end a proposed refund")
    reject.add_argument("order", help="rfd_...")
    reject.add_argument("--reason", required=True, help="reason, for the audit trail")
    add("list", help="list the refunds that wait for an operator")


def command_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the command in the form that the function expects."""
    match options.command:
        case "first-owner":
            return {"email": options.email, "workspace": options.workspace, "base": options.url or ""}
        case "look-up":
            return {"subject": options.subject}
        case "create-workspace":
            return {"name": options.name, "owner": options.owner}
        case "create-key":
            return {"workspace": options.workspace, "name": options.name, "scopes": options.scopes}
        case "block" | "unblock":
            return {"subject": options.subject, "blocked": options.command == "block"}
        case "grant":
            key = options.key or secrets.token_hex(16)
            grant = {"workspace": options.workspace, "micro_cents": options.usd, "reason": options.reason}
            return {**grant, "key": key, "ends_at": options.until}
        case "project":
            return {"workspace": options.workspace}
        case "well-known":
            return {"config": _json(options.config) if options.config else None, "default": options.default}
        case "catalogue" | "usage" | "billing" | "refunds":
            return _with_action(options)
        case _:
            return {}


def _with_action(options: argparse.Namespace) -> dict[str, Any]:
    if options.command == "usage":
        return {"action": options.action, "day": options.day, "workspace_id": options.workspace}
    if options.command == "billing":
        return _billing_command(options)
    if options.command == "refunds":
        return {
            "action": options.action,
            "payment_id": getattr(options, "payment", ""),
            "micro_cents": getattr(options, "usd", None),
            "reason": getattr(options, "reason", ""),
            "key": getattr(options, "key", None) or secrets.token_hex(16),
            "order_id": getattr(options, "order", ""),
        }
    command: dict[str, Any] = {"action": options.action, "version": getattr(options, "version", None)}
    if "file" in options:
        command["document"] = _text(options.file)
    return {**command, "comment": getattr(options, "comment", "")}


def _billing_command(options: argparse.Namespace) -> dict[str, Any]:
    given = {
        "workspace_id": getattr(options, "workspace", None),
        "micro_cents": getattr(options, "usd", 0),
        "reason": getattr(options, "reason", ""),
        "key": getattr(options, "key", None) or secrets.token_hex(16),
        "transaction_id": getattr(options, "transaction", "") or getattr(options, "corrects", ""),
        "proposal_id": getattr(options, "proposal", ""),
        "payment_id": getattr(options, "payment", ""),
        "uses": getattr(options, "uses", 0),
        "ends_at": getattr(options, "until", None),
        "credit_days": getattr(options, "credit_days", 0),
        "period": getattr(options, "period", ""),
        "days": getattr(options, "days", 2),
    }
    return {"action": options.action, **given}


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, ValueError) as error:
        raise OperatorError(f"{file} cannot be read: {error}") from error


def _amount(text: str) -> MicroCents:
    try:
        return parse_dollars(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise OperatorError(f"{file} cannot be read as JSON: {error}") from error


def _invoke(options: argparse.Namespace) -> Any:
    name = "block" if options.command == "unblock" else options.command
    command = {"type": name, **command_of(options)}
    if name == "catalogue" and options.action == "publish":
        # Publish the version that was shown. The function refuses it if another version has been published meanwhile.
        shown = _call(options, {**command, "action": "diff"})
        sys.stderr.writelines(f"{line}\n" for line in shown["changes"])
        command["version"] = shown["version"]
    answer = _call(options, command)
    if name == "billing" and options.action == "export":
        return write_export(options.folder, answer, lambda after: _call(options, {**command, "after": after}))
    while name == "usage" and answer.get("after"):
        # The events of a busy day take longer than one invocation's time limit.
        more = _call(options, {**command, "after": answer["after"]})
        answer = {**more, "events": answer["events"] + more["events"], "new": answer["new"] + more["new"]}
    return answer


def _call(options: argparse.Namespace, command: dict[str, Any]) -> Any:
    try:
        answer = Deployed(options.stage).call(command)
    except CallRejected as error:
        raise OperatorError(str(error)) from error
    if "error" in answer:
        raise OperatorError(f"{answer['error']}: {answer['message']}")
    return answer["result"]


def _call_shares(options: argparse.Namespace) -> Any:
    if not options.url:
        raise OperatorError("Give the deployment's address: --url https://share.example.com")
    secret = aws.secret(options.secret_arn) if options.secret_arn else os.environ.get(SECRET_VARIABLE, "")
    if not secret:
        raise OperatorError(f"Give the operator's secret: --secret-arn ARN, or the variable {SECRET_VARIABLE}.")
    method, end, _ = SHARE_COMMANDS[options.command]
    address = f"{options.url.rstrip('/')}/api/admin/shares/{options.share}{end}"
    try:
        response = urllib3.PoolManager(retries=False, timeout=30).request(
            method, address, headers={"Authorization": f"Bearer {secret}"}
        )
    except urllib3.exceptions.HTTPError as error:
        raise OperatorError(f"{options.url} could not be reached: {error}") from error
    try:
        answer = response.json()
    except ValueError as error:
        raise OperatorError(f"{options.url} answered {response.status} and no JSON: is it Opencode Cloud?") from error
    if response.status >= 300:
        raise OperatorError(f"{answer.get('error')}: {answer.get('message')}")
    return answer
