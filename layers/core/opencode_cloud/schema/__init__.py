"""The tables of the database, and rows that several features read and write.

Ids are a prefix, an underscore and a ULID (``kit.ids.new_id``). Prefixes: ``acc`` account, ``lgn`` login, ``sid``
session, ``wrk`` workspace, ``mem`` member, ``inv`` invitation, ``svc`` service account, ``key`` key, ``prv`` provider
credential, ``pol`` policy, ``cfg`` configuration, ``dom`` domain, ``aud`` audit entry, ``mai`` mail, ``txn``
transaction of the outbox, ``bud`` budget, ``grn`` grant, ``exp`` export, ``rec`` finding of a reconciliation, ``call``
model call, ``req`` request of the gateway.
"""
