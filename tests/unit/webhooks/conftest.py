from tests.unit.workspaces.team import place  # noqa: F401 - a fixture
