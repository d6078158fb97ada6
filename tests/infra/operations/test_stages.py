"""The stage of a command: with the settings that the CDK would give it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.operations import deploy
from infra.operations.stages import STACKS, ask, chosen, client
from tests.infra.synthesis import Synthesis
from tests.infra.variants import DOMAIN


@pytest.mark.slow
@pytest.mark.timeout(900)  # it synthesizes each variant
def test_all_stacks_of_all_stages_are_known(syntheses: Mapping[str, Synthesis]) -> None:
    assert {stack for synthesis in syntheses.values() for stack in synthesis.templates} == set(STACKS)


def test_the_region_is_that_of_the_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "dev.toml"
    file.write_text(DOMAIN)
    for name, value in {"STAGE": "dev", "STAGE_FILE": str(file), "AWS_DEFAULT_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CDK_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    # The file names no certificate, which only a stage in us-east-1 may do.
    with pytest.raises(SystemExit, match="certificate"):
        chosen()
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert client("cloudformation", chosen()).meta.region_name == "us-east-1"


def test_nothing_happens_where_no_person_can_answer() -> None:
    with pytest.raises(SystemExit, match="YES=1 deploys without a question"):
        ask("Deploy? ", otherwise="YES=1 deploys")


def test_a_deployment_without_a_terminal_needs_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setenv("STAGE", "dev")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.delenv("YES", raising=False)
    monkeypatch.setattr(deploy, "cdk", lambda _, command, *__: ran.append(command))
    monkeypatch.setattr(deploy, "deployed", lambda *_: {})
    monkeypatch.setattr(deploy, "synthesized", lambda *_: {})
    with pytest.raises(SystemExit, match="YES=1"):
        deploy.main()
    assert ran == ["synth", "diff"]
