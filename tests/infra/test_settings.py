"""Environments of functions: on every stage, exactly the variables that each function declares."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from infra.settings import DECLARED, InvalidEnvironment, environment
from infra.stacks.gateway import ADAPTER_SETTINGS
from tests.infra.synthesis import Synthesis

COMMON = {"STAGE", "LOG_LEVEL", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"}
OF_AWS = {"AWS_USE_DUALSTACK_ENDPOINT"}
"""Variables that every client of AWS reads."""
SERVER = {"HOST", "PORT", "GATEWAY_GRACE", "GATEWAY_WORKERS", "HUB_GRACE", "KEEP_ALIVE"}
"""The variables that run.sh of the gateway and the hub read."""


def given(synthesis: Synthesis) -> Iterator[tuple[str, set[str]]]:
    """Yield each function of a stage, and the names of the variables that it gets."""
    for stack in synthesis.templates:
        for function in synthesis.properties(stack, "AWS::Lambda::Function"):
            variables = function.get("Environment", {}).get("Variables", {})
            if "POWERTOOLS_SERVICE_NAME" in variables:
                yield variables["POWERTOOLS_SERVICE_NAME"], set(variables) - COMMON - OF_AWS - set(ADAPTER_SETTINGS)


def contained_gateway(contained: Synthesis) -> set[str]:
    return in_container(contained, "gateway")


def in_container(synthesis: Synthesis, name: str) -> set[str]:
    task: Any = synthesis.one(name, "AWS::ECS::TaskDefinition")
    (container,) = task["ContainerDefinitions"]
    return {each["Name"] for each in container["Environment"]} - COMMON - SERVER


def required(function: str) -> set[str]:
    return {name for name, it in DECLARED[function].items() if it["required"]}


def test_every_function_of_every_stage_gets_what_it_declares(synthesis: Synthesis) -> None:
    seen = dict(given(synthesis))
    assert set(seen) == set(DECLARED) - (set() if synthesis.stage.local else {"hub"})
    for function, names in seen.items():
        assert required(function) <= names <= set(DECLARED[function]), function


def test_the_gateway_in_containers_gets_what_it_declares(contained: Synthesis) -> None:
    names = contained_gateway(contained)
    assert required("gateway") <= names <= set(DECLARED["gateway"])


def test_a_hub_in_a_container_gets_what_it_declares(hubbed: Synthesis) -> None:
    names = in_container(hubbed, "hub")
    assert required("hub") <= names <= set(DECLARED["hub"])


def test_every_declared_variable_has_a_value_on_some_stage(
    syntheses: Mapping[str, Synthesis], contained: Synthesis, hubbed: Synthesis
) -> None:
    all_given: dict[str, set[str]] = {"gateway": contained_gateway(contained), "hub": in_container(hubbed, "hub")}
    all_given["hub"].add("HUB_ADDRESS")  # local/hub.py gives it
    for synthesis in (*syntheses.values(), hubbed):
        for function, names in given(synthesis):
            all_given.setdefault(function, set()).update(names)
    assert all_given == {function: set(declared) for function, declared in DECLARED.items()}


@pytest.mark.parametrize("function", DECLARED)
def test_a_variable_that_a_function_does_not_declare_fails_the_synthesis(function: str) -> None:
    known = dict.fromkeys(DECLARED[function], "known")
    with pytest.raises(InvalidEnvironment, match=f"^The function {function} does not declare SURPRISE: "):
        environment(function, known, {"SURPRISE": "x"})


@pytest.mark.parametrize("function", DECLARED)
def test_a_required_variable_without_a_value_fails_the_synthesis(function: str) -> None:
    known = dict.fromkeys(DECLARED[function], "known")
    assert environment(function, known, {}) == known
    for missing in required(function):
        with pytest.raises(InvalidEnvironment, match=f"^The function {function} requires {missing}: "):
            environment(function, {name: value for name, value in known.items() if name != missing}, {})


def test_a_function_gets_no_value_that_it_does_not_declare() -> None:
    known = dict.fromkeys((*DECLARED["snapshot"], "SURPRISE"), "known")
    assert "SURPRISE" not in environment("snapshot", known, {})
