"""Where keys are kept, and providers are asked: the only room of the feature that knows SQL or AWS."""

from opencode_cloud.keys.store.keys import KeyStore

__all__ = ["KeyStore"]
