from collections.abc import Iterator

import pytest

from local.stripe import StripeStandIn
from tests.stripe_stand_in import running
from tests.unit.billing.books import books  # noqa: F401 - a fixture
from tests.unit.payments.plans import place_with_plan  # noqa: F401 - a fixture
from tests.unit.payments.reloads import reload_shop  # noqa: F401 - a fixture
from tests.unit.payments.shop import shop  # noqa: F401 - a fixture
from tests.unit.workspaces.team import place  # noqa: F401 - a fixture


@pytest.fixture(scope="session")
def stripe_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeStandIn]:
    with running(tmp_path_factory.mktemp("stripe")) as server:
        yield server
