"""The hub: a process that serves all of sharing and holds the sockets itself (docs/decisions/029).

It is one viewer of a share, whatever the number of its sockets: each writer posts a record to it once.
"""
