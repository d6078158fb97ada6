"""The operator's command: look up a share of a deployment, or remove it (``python -m opencode_cloud --help``)."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import urllib3

from opencode_cloud.kit import aws

SECRET_VARIABLE = "OPENCODE_CLOUD_ADMIN_SECRET"  # noqa: S105 - the name of a variable, not its value


class OperatorError(Exception):
    """The command could not be carried out; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 refused, 2 misused."""
    options = _parser().parse_args(arguments)
    try:
        answer = _call(options)
    except OperatorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{json.dumps(answer, indent=2)}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m opencode_cloud", description=__doc__)
    parser.add_argument("--url", required=True, help="the deployment's address, such as https://share.example.com")
    parser.add_argument(
        "--secret-arn",
        help=f"the stack's output AdminSecretArn, read with your AWS credentials; else ${SECRET_VARIABLE} is used",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in (("show", "show what is known of a share"), ("remove", "remove a share for good")):
        command = commands.add_parser(name, help=purpose)
        command.add_argument("share", help="the share's id, the last part of its link")
    return parser


def _call(options: argparse.Namespace) -> Any:
    secret = aws.secret(options.secret_arn) if options.secret_arn else os.environ.get(SECRET_VARIABLE, "")
    if not secret:
        raise OperatorError(f"Give the operator's secret: --secret-arn ARN, or the variable {SECRET_VARIABLE}.")
    method = {"show": "GET", "remove": "DELETE"}[options.command]
    address = f"{options.url.rstrip('/')}/api/admin/shares/{options.share}"
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
