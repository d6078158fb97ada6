"""HTTP with SQL, which is the API under `/api/v1` and the pages of people."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import console
    from opencode_cloud.kit.settings import load

    handler = console.build(load(console.ConsoleSettings))
