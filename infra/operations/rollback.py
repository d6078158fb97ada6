"""`make rollback STAGE=...`: let all aliases point to the versions of functions before the last deployment."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from infra.constructs.function import ALIAS
from infra.operations.stages import STACKS, chosen, client, outputs
from infra.stage import Stage

ROLLED_BACK = "moved back by make rollback"
"""Description of an alias that is not where the last deployment has left it."""


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
    for name, now in in_use(lambda_, names).items():
        older = [version for version in versions(lambda_, name) if version < now]
        if older:
            lambda_.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=str(older[-1]), Description=ROLLED_BACK)
            say(f"{name}: {now} -> {older[-1]}")
        else:
            say(f"{name}: {now} stays, there is no older version")
    say("Now deploy the release before. A deployment moves only the aliases of functions that it changes.")


def rolled_back(lambda_: Any, names: Sequence[str]) -> list[str]:
    """Return the functions whose aliases a rollback has moved since the last deployment."""
    found = ((name, lambda_.get_alias(FunctionName=name, Name=ALIAS)) for name in names)
    return [name for name, alias in found if alias.get("Description") == ROLLED_BACK]


def forget_rollback(lambda_: Any, names: Sequence[str]) -> None:
    """Forget, after a deployment, that a rollback has moved aliases."""
    for name in rolled_back(lambda_, names):
        lambda_.update_alias(FunctionName=name, Name=ALIAS, Description="")


def in_use(lambda_: Any, names: list[str]) -> dict[str, int]:
    """Return the version of each function to which its alias points."""
    return {name: int(lambda_.get_alias(FunctionName=name, Name=ALIAS)["FunctionVersion"]) for name in names}


def prune(lambda_: Any, names: list[str], before: Mapping[str, int], *, repeated: bool) -> None:
    """Delete the versions that a rollback of this deployment must not return to.

    `before` has the versions that were in use before the deployment. Only a function that the deployment changed keeps
    an older version, since otherwise a rollback would return the others to the release before the last. A deployment
    that changed no function deletes nothing. A `repeated` one finishes what another began: then the versions before
    the first try are kept.
    """
    now = in_use(lambda_, names)
    if now == before:
        return
    for name, used in now.items():
        published = versions(lambda_, name)
        kept = {used, before.get(name)}
        if repeated:
            kept.update([version for version in published if version < used][-1:])
        for version in published:
            if version not in kept:
                lambda_.delete_function(FunctionName=name, Qualifier=str(version))


def versions(lambda_: Any, name: str) -> list[int]:
    """Return the numbers of the published versions of a function, oldest first."""
    return sorted(int(version) for version in _listed(lambda_, name) if version != "$LATEST")


def _listed(lambda_: Any, name: str) -> Iterator[str]:
    for page in lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=name):
        yield from (version["Version"] for version in page["Versions"])


if __name__ == "__main__":
    main()
