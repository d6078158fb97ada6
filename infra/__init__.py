"""The cloud as code: CDK stacks, their settings and the packaging of functions and layers."""

import os

# Node.js 20 is the oldest version that the project supports and tests. Without this, jsii prints a long warning.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
