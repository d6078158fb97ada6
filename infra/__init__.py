"""The cloud as code: CDK stacks, their settings and the packaging of functions and layers."""

import os

# Node.js 20, the oldest that the project supports and tests, works; jsii prints a page of warning about it otherwise.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
