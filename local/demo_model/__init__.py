"""A scripted model for the laptop, so that agents and the playground are answered without a key of a provider."""

from local.demo_model.answers import MODEL, SMALL_MODEL
from local.demo_model.client import DemoModel

__all__ = ["MODEL", "SMALL_MODEL", "DemoModel"]
