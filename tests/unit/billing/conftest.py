from tests.unit.billing.books import books  # noqa: F401 - a fixture
from tests.unit.workspaces.team import place  # noqa: F401 - a fixture
