"""Keys of members and service accounts, and the sealed credentials of model providers."""
