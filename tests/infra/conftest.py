"""Templates of every kind of stage. Each is synthesized once per session, because that takes seconds."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from infra.stage import load
from tests.infra.synthesis import Synthesis, synthesize
from tests.infra.variants import VARIANTS

KINDS = ("local", "dev", "production", "alice")
ON_AWS = ("dev", "production", "alice")


class Syntheses(Mapping[str, Synthesis]):
    """All variants, each synthesized when a test first asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Synthesis] = {}

    def __getitem__(self, name: str) -> Synthesis:
        if name not in self._made:
            stage_name, text = VARIANTS[name]
            file = self._folder / f"{name}.toml"
            file.write_text(text)
            stage = load(stage_name, file, environ={})
            # The packages of all stages are equal, so one of them suffices for the tests that look into packages.
            self._made[name] = synthesize(stage, self._folder / name, bundling=name == "dev")
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(VARIANTS)

    def __len__(self) -> int:
        return len(VARIANTS)


@pytest.fixture(scope="session")
def syntheses(tmp_path_factory: pytest.TempPathFactory) -> Syntheses:
    """All variants by name."""
    return Syntheses(tmp_path_factory.mktemp("synthesis"))


@pytest.fixture
def contained(syntheses: Syntheses) -> Synthesis:
    """A stage that serves model calls in containers."""
    return syntheses["contained"]


@pytest.fixture
def hubbed(syntheses: Syntheses) -> Synthesis:
    """A stage whose sharing runs in containers."""
    return syntheses["hubbed"]


@pytest.fixture(params=KINDS)
def synthesis(request: pytest.FixtureRequest, syntheses: Syntheses) -> Synthesis:
    """Return each stage in turn."""
    return syntheses[request.param]


@pytest.fixture(params=("local", "dev", "production"))
def watched(request: pytest.FixtureRequest, syntheses: Syntheses) -> Synthesis:
    """Return each stage with a dashboard and alarms in turn."""
    return syntheses[request.param]


@pytest.fixture(params=ON_AWS)
def on_aws(request: pytest.FixtureRequest, syntheses: Syntheses) -> Synthesis:
    """Return each stage that runs on AWS in turn."""
    return syntheses[request.param]
