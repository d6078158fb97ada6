"""Where keys are kept, and providers are asked: the only room of the feature that knows SQL or AWS."""

from opencode_cloud.keys.store.credentials import CredentialStore
from opencode_cloud.keys.store.keys import KeyStore
from opencode_cloud.keys.store.providers import ProviderClient
from opencode_cloud.keys.store.vault import Vault

__all__ = ["CredentialStore", "KeyStore", "ProviderClient", "Vault"]
