"""The stacks, one per module."""
