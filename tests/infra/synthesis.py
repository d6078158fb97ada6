"""Access to the templates of one stage."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.app import build
from infra.stage import Stage


@dataclass(frozen=True)
class Synthesis:
    """The templates of one stage, by the last part of their stacks' names."""

    stage: Stage
    folder: Path
    templates: dict[str, dict[str, Any]]

    def resources(self, stack: str, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resources of a type, by logical id."""
        return {k: v for k, v in self.templates[stack]["Resources"].items() if v["Type"] == kind}

    def properties(self, stack: str, kind: str, like: str = "") -> list[dict[str, Any]]:
        """Return the properties of the resources of a type whose logical ids begin with `like`."""
        return [v.get("Properties", {}) for k, v in self.resources(stack, kind).items() if k.startswith(like)]

    def one(self, stack: str, kind: str, like: str = "") -> dict[str, Any]:
        """Return the properties of the only such resource."""
        (found,) = self.properties(stack, kind, like)
        return found


def synthesize(stage: Stage, folder: Path, *, bundling: bool = True) -> Synthesis:
    """Synthesize `stage` into `folder`; cdk-nag runs with it, and a finding makes it fail.

    Without `bundling` layers and functions are not packaged, which is quicker.
    """
    build(stage, outdir=str(folder), bundling=bundling).synth()
    return Synthesis(stage, folder, dict(_templates(folder)))


def _templates(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(folder.glob("*.template.json")):
        yield path.name.removesuffix(".template.json").rpartition("-")[2], json.loads(path.read_text())
