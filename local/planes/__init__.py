"""The description of the routes that no schema of an app describes: the model gateway, sharing, logins of clients.

`make openapi` adds it to the document of `/api/v1`. The addresses of the gateway come from its own tables.
"""
