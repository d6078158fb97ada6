"""A deployed stage can follow every change of its settings. The emulator would not refuse one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.operations.protection import LASTING, dangers, frozen
from infra.stage import load
from tests.infra.synthesis import Synthesis, synthesize
from tests.infra.updates import dangling, refused
from tests.infra.variants import MAIL, REGION, SWITCHES, VARIANTS


def test_every_setting_can_be_switched_at_once_and_back(syntheses: Mapping[str, Synthesis]) -> None:
    one, other = syntheses["production"].templates, syntheses["switched"].templates
    assert refused(one, other) == refused(other, one) == []
    assert dangers(frozen(one), other) == dangers(frozen(other), one) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SWITCHES)
def test_each_setting_can_be_switched_and_back(tmp_path: Path, name: str) -> None:
    one, other = (_production(tmp_path / str(number), text) for number, text in enumerate(SWITCHES[name]))
    assert refused(one, other) == refused(other, one) == []
    assert dangers(frozen(one), other) == dangers(frozen(other), one) == []


@pytest.mark.parametrize("name", VARIANTS)
def test_no_reference_dangles(syntheses: Mapping[str, Synthesis], name: str) -> None:
    assert dangling(syntheses[name].templates) == []


@pytest.mark.parametrize("name", VARIANTS)
def test_only_what_holds_data_is_held_by_its_users(syntheses: Mapping[str, Synthesis], name: str) -> None:
    assert any(_exported(syntheses[name].templates["data"]))
    for stack, template in syntheses[name].templates.items():
        kinds = {template["Resources"][key]["Type"] for key in _exported(template)}
        # The hubs' stack names the API in its rights, and imports can be read in rights (infra/constructs/nag.py).
        assert kinds - set(LASTING) <= ({"AWS::ApiGatewayV2::Api"} if stack == "sharing" else set())


@pytest.mark.parametrize("name", VARIANTS)
def test_stacks_that_hold_nothing_hold_nobody_up(syntheses: Mapping[str, Synthesis], name: str) -> None:
    templates = syntheses[name].templates
    assert not [stack for stack in ("observability", "edge") if "Fn::ImportValue" in str(templates.get(stack))]


def test_an_update_that_takes_away_what_is_used_is_found() -> None:
    exported = {"Outputs": {"A": {"Value": 1, "Export": {"Name": "data:A"}}}, "Resources": {}}
    user = {"Resources": {"R": {"Properties": {"List": [{"Fn::ImportValue": "data:A"}]}}}}
    before = {"data": exported, "user": user}
    assert refused(before, {"data": {"Resources": {}}, "user": {}}) == ["data loses data:A, which user use"]
    assert dangling({"user": user}) == ["user imports data:A"]
    weak = {"Fn::GetStackOutput": {"StackName": "opencode-cloud-dev-data", "OutputName": "B"}}
    assert dangling({"data": exported, "weak": {"Resources": weak}}) == ["weak reads data.B"]


def _exported(template: Mapping[str, Any]) -> Iterator[str]:
    for output in template.get("Outputs", {}).values():
        if "Export" in output:
            value = output["Value"]
            yield value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0]


def _production(folder: Path, text: str) -> dict[str, dict[str, Any]]:
    folder.mkdir()
    file = folder / "stage.toml"
    file.write_text(REGION + MAIL + text)
    return synthesize(load("production", file, environ={}), folder / "out", bundling=False).templates
