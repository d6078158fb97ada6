"""People and machines: accounts, logins, sessions, tokens, and the OAuth 2.1 authorization server."""
