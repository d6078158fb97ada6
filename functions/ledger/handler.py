"""Brings usage into the database, delivers alerts, writes exports, reconciles every night."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import ledger
    from opencode_cloud.kit.settings import load

    handler = ledger.build(load(ledger.LedgerSettings))
