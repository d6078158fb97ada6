"""The unmodified opencode clients against the deployed local stage."""

import pytest

# pytest must explain a failed assert in these modules as it does in tests.
pytest.register_assert_rewrite(f"{__name__}.opencode", f"{__name__}.shares")
