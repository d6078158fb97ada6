"""The cloud as code: CDK stacks, their settings and the packaging of functions and layers."""
