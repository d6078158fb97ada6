"""The unmodified opencode clients against the deployed local stage."""

import pytest

# A failed assert in these is to say as much as one in a test.
pytest.register_assert_rewrite(f"{__name__}.opencode", f"{__name__}.shares")
