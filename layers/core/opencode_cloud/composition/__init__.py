"""All wiring: a module for each function, named like it, and shared parts in ``services``.

A module declares the settings of its function and builds its handler from them; nothing else reads the environment.
"""
