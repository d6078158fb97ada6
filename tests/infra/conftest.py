"""Templates of every kind of stage. Each is synthesized once per session, because that takes seconds."""

import pytest

from infra.stage import load
from tests.infra.synthesis import Synthesis, synthesize

DOMAIN = """
region = "us-east-1"
account = "111122223333"
alarm_email = "operator@example.com"
[domain]
name = "share.example.com"
zone_id = "Z0123456789ABCDEFGHIJ"
zone_name = "example.com"
"""
CONTAINERS = """
region = "us-east-1"
account = "111122223333"
[gateway]
runtime = "container"
task_cpu = 2048
"""
HUBS = (
    DOMAIN
    + """
[sync]
runtime = "container"
"""
)
KINDS = ("local", "dev", "production", "alice")
ON_AWS = ("dev", "production", "alice")


@pytest.fixture(scope="session")
def syntheses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Synthesis]:
    """Synthesize all kinds of stages."""
    root = tmp_path_factory.mktemp("synthesis")
    domain = root / "production.toml"
    domain.write_text(DOMAIN)
    made: dict[str, Synthesis] = {}
    for kind in KINDS:
        stage = load(kind, domain if kind == "production" else None, environ={})
        # The packages of all stages are equal, so one of them suffices for the tests that look into packages.
        made[kind] = synthesize(stage, root / kind, bundling=kind == "dev")
    return made


@pytest.fixture(scope="session")
def contained(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """A stage that serves model calls in containers."""
    root = tmp_path_factory.mktemp("contained")
    file = root / "stage.toml"
    file.write_text(CONTAINERS)
    return synthesize(load("dev", file, environ={}), root / "out", bundling=False)


@pytest.fixture(scope="session")
def hubbed(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """A stage whose sharing runs in containers."""
    root = tmp_path_factory.mktemp("hubbed")
    file = root / "stage.toml"
    file.write_text(HUBS)
    return synthesize(load("dev", file, environ={}), root / "out", bundling=False)


@pytest.fixture(params=KINDS)
def synthesis(request: pytest.FixtureRequest, syntheses: dict[str, Synthesis]) -> Synthesis:
    """Return each stage in turn."""
    return syntheses[request.param]


@pytest.fixture(params=("local", "dev", "production"))
def watched(request: pytest.FixtureRequest, syntheses: dict[str, Synthesis]) -> Synthesis:
    """Return each stage with a dashboard and alarms in turn."""
    return syntheses[request.param]


@pytest.fixture(params=ON_AWS)
def on_aws(request: pytest.FixtureRequest, syntheses: dict[str, Synthesis]) -> Synthesis:
    """Return each stage that runs on AWS in turn."""
    return syntheses[request.param]
