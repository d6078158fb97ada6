"""`make rollback STAGE=...`: let all aliases point to the versions of functions before the last deployment."""

from collections.abc import Callable, Iterator
from typing import Any

from infra.constructs.function import ALIAS
from infra.operations.stages import STACKS, chosen, client, outputs
from infra.stage import Stage

KEPT_VERSIONS = 2
"""Published versions of a function that `make deploy` keeps: the one in use, and the one before for a rollback."""


def main() -> None:
    """Move the aliases of the stage that STAGE chooses one version back. The database stays as it is."""
    stage = chosen()
    roll_back(client("lambda", stage), functions(client("cloudformation", stage), stage), say=print)


def functions(cloudformation: Any, stage: Stage) -> list[str]:
    """Return the names of the stage's deployed functions, except those that only a deployment calls."""
    named = (outputs(cloudformation, stage, stack) or {} for stack in STACKS)
    return sorted(
        value
        for found in named
        for key, value in found.items()
        if key.endswith("FunctionName") and key != "MigrateFunctionName"
    )


def roll_back(lambda_: Any, names: list[str], say: Callable[[str], None]) -> None:
    """Move each alias to the newest version that is older than its own. A function without one stays."""
    for name in names:
        now = lambda_.get_alias(FunctionName=name, Name=ALIAS)["FunctionVersion"]
        older = [version for version in versions(lambda_, name) if version < int(now)]
        if older:
            lambda_.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=str(older[-1]))
            say(f"{name}: {now} -> {older[-1]}")
        else:
            say(f"{name}: {now} stays, there is no older version")
    say("The next deployment moves the aliases forward. The schema stays.")


def prune(lambda_: Any, names: list[str]) -> None:
    """Delete all but the newest versions of each function, and never the one in use."""
    for name in names:
        now = int(lambda_.get_alias(FunctionName=name, Name=ALIAS)["FunctionVersion"])
        for version in versions(lambda_, name)[:-KEPT_VERSIONS]:
            if version != now:
                lambda_.delete_function(FunctionName=name, Qualifier=str(version))


def versions(lambda_: Any, name: str) -> list[int]:
    """Return the numbers of the published versions of a function, oldest first."""
    return sorted(int(version) for version in _listed(lambda_, name) if version != "$LATEST")


def _listed(lambda_: Any, name: str) -> Iterator[str]:
    for page in lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=name):
        yield from (version["Version"] for version in page["Versions"])


if __name__ == "__main__":
    main()
