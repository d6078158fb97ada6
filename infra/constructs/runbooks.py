"""Where alarms say that their runbooks are."""

RUNBOOKS = "docs/runbooks.md"
"""The document with a runbook for each alarm. Its headings are names of alarms, or of families of alarms."""


def described(meaning: str, runbook: str) -> str:
    """Return the description of an alarm, which ends with the address of its runbook in this repository."""
    return f"{meaning} Runbook: {RUNBOOKS}#{runbook.lower()}"
