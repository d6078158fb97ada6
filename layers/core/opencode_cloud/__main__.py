"""``python -m opencode_cloud``: the operator's command."""

import sys

from opencode_cloud.operators.command import main

sys.exit(main())
