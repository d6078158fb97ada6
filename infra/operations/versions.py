"""Deployed code that has versions: functions behind an alias, and services of containers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from infra.constructs.function import ALIAS
from infra.operations.stages import STACKS, client, outputs
from infra.stage import Stage

ROLLED_BACK = "moved back by make rollback"
"""Description of an alias that is not where the last deployment has left it."""

SERVICE_OUTPUT = "ServiceArn"
FUNCTION_OUTPUT = "FunctionName"


class Versioned(Protocol):
    """Deployed things of one kind. A version is a number, and the newest one is the highest."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the things: of functions, or ARNs of services."""
        ...

    def in_use(self) -> dict[str, int]:
        """Return the version that each of them runs."""
        ...

    def versions(self, name: str) -> list[int]:
        """Return the versions that one of them can run, oldest first."""
        ...

    def use(self, name: str, version: int) -> None:
        """Run another version, as a rollback."""
        ...

    def delete(self, name: str, version: int) -> None:
        """Delete a version, so that no rollback returns to it."""
        ...


@dataclass(frozen=True, slots=True)
class Functions:
    """Lambda functions. The alias of each chooses the version that runs."""

    lambda_: Any
    names: Sequence[str]

    def in_use(self) -> dict[str, int]:
        """Return the versions to which the aliases point."""
        return {name: int(self._alias(name)["FunctionVersion"]) for name in self.names}

    def versions(self, name: str) -> list[int]:
        """Return the published versions of a function, oldest first."""
        return sorted(int(version) for version in self._listed(name) if version != "$LATEST")

    def use(self, name: str, version: int) -> None:
        """Move the alias, and note at it that no deployment has left it there."""
        self.lambda_.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=str(version), Description=ROLLED_BACK)

    def delete(self, name: str, version: int) -> None:
        """Delete a published version."""
        self.lambda_.delete_function(FunctionName=name, Qualifier=str(version))

    def rolled_back(self) -> list[str]:
        """Return the functions whose aliases a rollback has moved since the last deployment."""
        return [name for name in self.names if self._alias(name).get("Description") == ROLLED_BACK]

    def forget_rollback(self) -> None:
        """Forget, after a deployment, that a rollback has moved aliases."""
        for name in self.rolled_back():
            self.lambda_.update_alias(FunctionName=name, Name=ALIAS, Description="")

    def _alias(self, name: str) -> dict[str, Any]:
        return self.lambda_.get_alias(FunctionName=name, Name=ALIAS)

    def _listed(self, name: str) -> Iterator[str]:
        for page in self.lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=name):
            yield from (version["Version"] for version in page["Versions"])


@dataclass(frozen=True, slots=True)
class Services:
    """ECS services, by their ARNs. A version is the revision of a task definition, and names one image."""

    ecs: Any
    names: Sequence[str]

    def in_use(self) -> dict[str, int]:
        """Return the revisions of the services' tasks."""
        return {name: _revision(self._in_use(name)) for name in self.names}

    def versions(self, name: str) -> list[int]:
        """Return the active revisions of a service's task definition, oldest first."""
        family = self._definition(name).rpartition("/")[2]
        pages = self.ecs.get_paginator("list_task_definitions").paginate(familyPrefix=family, status="ACTIVE")
        return sorted(_revision(arn) for page in pages for arn in page["taskDefinitionArns"])

    def use(self, name: str, version: int) -> None:
        """Start tasks of the version, and return when those of the other one have ended."""
        definition = f"{self._definition(name)}:{version}"
        self.ecs.update_service(cluster=_cluster(name), service=name, taskDefinition=definition)
        self.ecs.get_waiter("services_stable").wait(cluster=_cluster(name), services=[name])

    def delete(self, name: str, version: int) -> None:
        """Deregister a revision. A service cannot use it any more."""
        self.ecs.deregister_task_definition(taskDefinition=f"{self._definition(name)}:{version}")

    def _definition(self, name: str) -> str:
        """Return the ARN of a service's task definition, without the revision."""
        return self._in_use(name).rpartition(":")[0]

    def _in_use(self, name: str) -> str:
        (service,) = self.ecs.describe_services(cluster=_cluster(name), services=[name])["services"]
        return service["taskDefinition"]


@dataclass(frozen=True, slots=True)
class Code:
    """All deployed code of a stage."""

    functions: Functions
    services: Services

    @property
    def kinds(self) -> tuple[Versioned, ...]:
        """Functions and services, as things that have versions."""
        return (self.functions, self.services)

    def in_use(self) -> Mapping[str, int]:
        """Return the version that each function and service runs."""
        return {name: version for kind in self.kinds for name, version in kind.in_use().items()}


def deployed_code(cloudformation: Any, lambda_: Any, ecs: Any, stage: Stage) -> Code:
    """Return the stage's deployed functions and services, without the function that only a deployment calls."""
    named = [found for stack in STACKS if (found := outputs(cloudformation, stage, stack))]
    return Code(
        Functions(lambda_, _values(named, FUNCTION_OUTPUT, but="MigrateFunctionName")),
        Services(ecs, _values(named, SERVICE_OUTPUT)),
    )


def code_of(stage: Stage) -> Code:
    """Return the deployed code of a stage, by clients of its account."""
    return deployed_code(client("cloudformation", stage), client("lambda", stage), client("ecs", stage), stage)


def _values(outputs: Sequence[Mapping[str, str]], ending: str, *, but: str = "") -> list[str]:
    found = (pair for each in outputs for pair in each.items())
    return sorted(value for key, value in found if key.endswith(ending) and key != but)


def _cluster(service_arn: str) -> str:
    """Return the cluster that a service's ARN names (`...:service/<cluster>/<service>`)."""
    return service_arn.split("/")[1]


def _revision(definition_arn: str) -> int:
    return int(definition_arn.rpartition(":")[2])
