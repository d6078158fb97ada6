"""Storage of keys, and calls to providers. Only this package of the feature knows SQL or AWS."""

from opencode_cloud.keys.store.credentials import CredentialStore
from opencode_cloud.keys.store.keys import KeyStore
from opencode_cloud.keys.store.providers import ProviderClient
from opencode_cloud.keys.store.vault import Vault

__all__ = ["CredentialStore", "KeyStore", "ProviderClient", "Vault"]
