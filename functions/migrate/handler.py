"""A step of the deployment that upgrades the schema and publishes the well-known document."""

from pathlib import Path

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import migrate
    from opencode_cloud.kit.settings import load

    handler = migrate.build(load(migrate.MigrateSettings), Path(__file__).parent / "migrations")
