"""`DEMO=1 make dev`: the demo data of a fresh stage."""

import pytest

from local.demo import NAME, OWNER, seed
from local.stack import LocalStack
from tests.integration.test_operators import Command

pytestmark = pytest.mark.xdist_group("gateway")


@pytest.mark.slow
def test_the_demo_workspace_and_its_models_are_made_once(stack: LocalStack) -> None:
    command = Command(stack)
    seed(stack)
    published = command("catalogue", "show")
    assert published["version"] > 0
    seed(stack)
    assert command("catalogue", "show") == published
    (demo,) = (each["id"] for each in command("look-up", OWNER)["workspaces"] if each["name"] == NAME)
    counters = stack.client("dynamodb").scan(TableName=stack.outputs["BudgetsTableName"])["Items"]
    full = [(int(row["spent"]["N"]), int(row["limit"]["N"])) for row in counters if row.get("workspace") == {"S": demo}]
    assert full, "the workspace has calls and budgets"
    assert all(0 < spent <= limit for spent, limit in full), "no budget is overrun"
