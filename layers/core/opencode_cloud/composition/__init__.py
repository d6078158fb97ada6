"""All wiring: a module for each function, named like it, and in ``services`` what several functions share.

A module declares the settings of its function and builds its handler from them; nothing else reads the environment.
"""
