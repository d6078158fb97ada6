"""`make rollback STAGE=...`: run the versions of functions and containers before the last deployment."""

from collections.abc import Callable, Mapping

from infra.operations.stages import chosen
from infra.operations.versions import Code, Versioned, code_of


def main() -> None:
    """Run the version before of all code of the stage that STAGE chooses. The database stays as it is."""
    roll_back(code_of(chosen()), say=print)


def roll_back(code: Code, say: Callable[[str], None]) -> None:
    """Let each function and service run the newest version older than its own, if there is one."""
    for kind in code.kinds:
        for name, now in kind.in_use().items():
            older = [version for version in kind.versions(name) if version < now]
            if older:
                kind.use(name, older[-1])
                say(f"{name}: {now} -> {older[-1]}")
            else:
                say(f"{name}: {now} stays, there is no older version")
    say("Now deploy the release before. A deployment moves only the code that it changes.")


def prune(code: Code, before: Mapping[str, int], *, repeated: bool) -> None:
    """Delete the versions that a rollback of this deployment must not return to.

    `before` has the versions that were in use before the deployment. Only code that the deployment changed keeps an
    older version, since otherwise a rollback would return the rest to the release before the last. A deployment that
    changed no code deletes nothing. A `repeated` one finishes what another began: then the versions before the first
    try are kept.
    """
    now = code.in_use()
    if now == before:
        return
    for kind in code.kinds:
        for name in kind.names:
            _prune(kind, name, now[name], before.get(name), repeated=repeated)


def _prune(kind: Versioned, name: str, used: int, before: int | None, *, repeated: bool) -> None:
    published = kind.versions(name)
    kept = {used, before}
    if repeated:
        kept.update([version for version in published if version < used][-1:])
    for version in published:
        if version not in kept:
            kind.delete(name, version)


if __name__ == "__main__":
    main()
