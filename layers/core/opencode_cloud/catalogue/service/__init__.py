"""Rules of the catalogue, free of AWS and HTTP.

A function imports only the modules that it uses: ``publishing`` needs SQL, ``reading`` an event loop.
"""
