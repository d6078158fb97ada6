"""`make logs`: log lines of a stage by the id of a request, a call or a share, by level, and by function.

ID=<id>, LEVEL=ERROR (or WARNING: and above), FUNCTION=<name>, HOURS=<number, 24 by default>. Without STAGE it reads the
stage on this machine, which must run.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boto3.session import Session

from infra.operations.stages import chosen, client
from infra.packaging import ROOT

LOCAL = "local"
LOCAL_LOGS = ROOT / ".local" / "dev" / "logs"
LOCAL_PORTS = ROOT / ".local" / "dev" / "ports.json"
MOST_LINES = 1000
MOST_GROUPS = 50
"""Log groups of one query (reference: CloudWatch Logs Insights, quotas)."""

LEVELS = ("WARNING", "ERROR", "CRITICAL")
OF_LAMBDA = "Task timed out|Runtime exited"
"""Lambda's own lines about a failure."""

PLAIN = re.compile(r"[\w.:/-]{1,200}")


class InvalidSearch(Exception):
    """A value cannot be searched for. The message names it and what it may be."""


@dataclass(frozen=True)
class Search:
    """What is searched for. An empty text means: any."""

    text: str = ""
    level: str = ""
    function: str = ""
    hours: float = 24

    def __post_init__(self) -> None:
        """Refuse values that a query would read as more than a value."""
        if self.text and not PLAIN.fullmatch(self.text):
            raise InvalidSearch(f"ID has only letters, digits and .:/-_, not {self.text!r}")
        if self.level and self.level not in LEVELS:
            raise InvalidSearch(f"LEVEL is one of {', '.join(LEVELS)}, not {self.level!r}")
        if self.function and not self.function.isalpha():
            raise InvalidSearch(f"FUNCTION is a function's name, such as share, not {self.function!r}")

    @property
    def levels(self) -> tuple[str, ...]:
        """The level and those above it."""
        return LEVELS[LEVELS.index(self.level) :] if self.level else ()

    @property
    def query(self) -> str:
        """The search in the language of CloudWatch Logs Insights."""
        # Lambda's own lines about a function that timed out or ran out of memory have no level.
        named = ", ".join(f'"{level}"' for level in self.levels)
        filters = [f'filter @message like "{self.text}"'] if self.text else []
        filters += [f"filter level in [{named}] or @message like /{OF_LAMBDA}/"] if self.level else []
        return " | ".join(["fields @timestamp, @message", *filters, "sort @timestamp asc", f"limit {MOST_LINES}"])

    def finds(self, line: str) -> bool:
        """Tell whether a line is searched for."""
        levels = [f'"level":"{level}"' for level in self.levels]
        return self.text in line and (not levels or any(level in line.replace(" ", "") for level in levels))

    def reads(self, group: str) -> bool:
        """Tell whether a log can have lines of the function: its own one, or the access log of its API."""
        name = self.function
        return not name or f"-{name.capitalize()}Logs" in group or group.endswith((f"/{name}", f"-{name}"))


def main() -> None:
    """Print the lines that the environment asks for, oldest first."""
    named = {name: os.environ.get(name, "") for name in ("ID", "LEVEL", "FUNCTION")}
    try:
        hours = float(os.environ.get("HOURS") or 24)
        search = Search(named["ID"], named["LEVEL"].upper(), named["FUNCTION"], hours)
    except (InvalidSearch, ValueError) as error:
        sys.exit(str(error))
    if os.environ.get("STAGE", LOCAL) == LOCAL:
        lines = _on_this_machine(search)
    else:
        stage = chosen()
        lines = on_aws(client("logs", stage), stage.name, search)
    found = 0
    for line in lines:
        sys.stdout.write(f"{line}\n")
        found += 1
    sys.stderr.write(f"{found} lines{' (the most that a query returns)' if found == MOST_LINES else ''}\n")


def on_aws(logs: Any, stage: str, search: Search, sleep: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """Yield the lines of a stage on AWS that a search finds, oldest first, at most 1,000."""
    prefixes = (f"opencode-cloud-{stage}-", f"/aws/vendedlogs/opencode-cloud-{stage}/")
    groups = [group for prefix in prefixes for group in _groups(logs, prefix) if search.reads(group)]
    if not groups:
        raise SystemExit(f"Stage {stage} has no log of {search.function or 'any function'} in this region.")
    now = int(time.time())
    query_id = logs.start_query(
        logGroupNames=groups[:MOST_GROUPS],
        startTime=now - int(search.hours * 3600),
        endTime=now,
        queryString=search.query,
    )["queryId"]
    while (answer := logs.get_query_results(queryId=query_id))["status"] in ("Scheduled", "Running"):
        sleep(1)
    if answer["status"] != "Complete":
        raise SystemExit(f"The query ended as {answer['status']}: ask for fewer hours.")
    for row in answer["results"]:
        values = {field["field"]: field["value"] for field in row}
        yield f"{values['@timestamp']}  {values['@message'].rstrip()}"


def on_emulator(logs: Any, folder: Path, search: Search) -> Iterator[str]:
    """Yield the lines of the local stage: of functions, which the emulator keeps, and of the programs beside it."""
    since = int((time.time() - search.hours * 3600) * 1000)
    found = [(event["timestamp"], event["message"]) for event in _events(logs, search, since)]
    yield from (message.rstrip() for _, message in sorted(found) if search.finds(message))
    for path in sorted(folder.glob("*.log")):
        if not search.function or path.stem == search.function:
            yield from _matching(path.read_text(errors="replace").splitlines(), search)


def _events(logs: Any, search: Search, since: int) -> Iterator[dict[str, Any]]:
    for group in _groups(logs, ""):
        if search.reads(group):
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since):
                yield from page["events"]


def _matching(lines: Iterable[str], search: Search) -> Iterator[str]:
    yield from (line for line in lines if search.finds(line))


def _groups(logs: Any, prefix: str) -> list[str]:
    asked = {"logGroupNamePrefix": prefix} if prefix else {}
    pages = logs.get_paginator("describe_log_groups").paginate(**asked)
    return [group["logGroupName"] for page in pages for group in page["logGroups"]]


def _on_this_machine(search: Search) -> Iterator[str]:
    if not LOCAL_PORTS.exists():
        sys.exit("The stage on this machine was never started: `make dev`. For a stage on AWS, set STAGE.")
    port = json.loads(LOCAL_PORTS.read_text())["emulator"]
    keys: dict[str, Any] = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    session: Any = Session(region_name="us-east-1", **keys)
    logs = session.client("logs", endpoint_url=f"http://127.0.0.1:{port}")
    return on_emulator(logs, LOCAL_LOGS, search)


if __name__ == "__main__":
    main()
