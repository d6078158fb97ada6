"""The shell commands of README and docs: all are known, and those that a test can run are run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.language import ROOT, tracked

FENCE = re.compile(r"^```sh\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


class Commands(NamedTuple):
    """A block of shell commands in a document, known by the beginning of its first line."""

    document: str
    text: str

    def is_named(self, name: str) -> bool:
        """Tell whether ``name``, a document and the beginning of a block, means this one."""
        document, _, beginning = name.partition(": ")
        return self.document == document and self.text.startswith(beginning)


def documented() -> Iterator[Commands]:
    """Return every block of commands in the documents for users and developers."""
    for name in tracked():
        if name.endswith(".md") and (name.startswith("docs/") or "/" not in name):
            for text in FENCE.findall((ROOT / name).read_text()):
                yield Commands(name, text)


ACCOUNT = "It needs an AWS account."
AGENT = "tests/agents runs it with the agent itself."
CLIENT = "tests/e2e/test_demo_model.py runs the same with the client itself, logged in and with a key."
LEDGER = "The stage of the tests keeps no ledger. tests/unit/billing and tests/unit/payments run each operation."
SHARED = "It would change the one stage of all tests. tests/integration/test_operators.py runs each command on its own."
MODELS = "tests/integration/test_gateway_sdks.py asks for the same with the vendors' clients."
TOOL = "Continuous integration and developers run it."

NOT_RUN = {
    "README.md: make dev": TOOL,
    "README.md: ANTHROPIC_API_KEY=": TOOL,
    "README.md: export HOST=": MODELS,
    "README.md: opencode console login": CLIENT,
    "CONTRIBUTING.md: make setup": TOOL,
    "docs/agents.md: pip install": AGENT,
    "docs/agents.md: opencode-cloud connect codex": AGENT,
    "docs/agents.md: export ANTHROPIC": AGENT,
    "docs/agents.md: export OPENCODE_CLOUD_KEY": AGENT,
    "docs/agents.md: export GEMINI": AGENT,
    "docs/agents.md: export OPENAI": AGENT,
    "docs/agents.md: cline auth": AGENT,
    "docs/agents.md: export AIDER": AGENT,
    "docs/agents.md: opencode-cloud connect llm": AGENT,
    "docs/agents.md: opencode console login": AGENT,
    "docs/agents.md: export OPENCODE_MODELS_URL": AGENT,
    "docs/billing.md: api() {": LEDGER,
    "docs/billing.md: aws kms": ACCOUNT,
    "docs/billing.md: python -m opencode_cloud": LEDGER,
    "docs/catalogue.md: alias cloud": SHARED,
    "docs/deploy.md: make setup": ACCOUNT,
    "docs/gateway.md: export HOST": MODELS,
    "docs/gateway.md: aws secretsmanager": ACCOUNT,
    "docs/github.md: python3 -c": ACCOUNT,
    "docs/login.md: aws secretsmanager": ACCOUNT,
    "docs/operate.md: . .venv/bin/activate": SHARED,
    "docs/operate.md: make cloud": SHARED,
    "docs/operate.md: python -m opencode_cloud": SHARED,
    "docs/operate.md: aws secretsmanager": ACCOUNT,
    "docs/operate.md: make migration": TOOL,
    "docs/operate.md: # 1. Stop": ACCOUNT,
    "docs/quickstart.md: opencode console login": CLIENT,
    "docs/quickstart.md: export OPENCODE_MODELS_URL": CLIENT,
    "docs/redaction.md: python -m local": "It needs the file of another project's release.",
    "docs/runbooks.md: make logs": ACCOUNT,
    "docs/stripe.md: aws lambda": ACCOUNT,
    "docs/stripe.md: plan() {": LEDGER,
    "docs/stripe.md: python -m opencode_cloud --stage production billing": LEDGER,
    "docs/stripe.md: python -m opencode_cloud --stage production refunds": LEDGER,
    "docs/stripe.md: curl": "The stage of the tests has no account at Stripe. tests/e2e/test_payments.py turns it on.",
    "docs/stripe.md: STRIPE_TEST_KEY": "It needs an account at Stripe.",
}
"""Blocks that no test runs as they are, with the reason."""

RUN = (
    "docs/billing.md: curl",
    "docs/budgets.md: api() {",
    "docs/budgets.md: api PUT /workspaces/$W/policy",
    "docs/budgets.md: python -m opencode_cloud",
    "docs/budgets.md: api PUT /workspaces/$W/budget-alerts",
    "docs/configuration.md: export HOST",
    "docs/configuration.md: api -X PUT",
    'docs/configuration.md: api "$HOST',
    "docs/groups.md: api() {",
    "docs/groups.md: api PATCH",
    'docs/usage.md: api GET "/workspaces/$W/usage/totals',
    "docs/usage.md: api PUT",
    'docs/usage.md: api GET "/workspaces/$W/usage/sessions',
    "docs/usage.md: api POST",
    "docs/usage.md: python -m",
    "docs/workspaces.md: # An access token",
    "docs/workspaces.md: api POST  /workspaces/$W/invitations",
    "docs/workspaces.md: api POST /workspaces/$W/service-accounts",
    "docs/workspaces.md: api POST /workspaces/$W/providers",
)
"""Blocks that tests/integration/test_documented_commands.py runs."""
