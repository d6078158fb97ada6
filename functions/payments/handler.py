"""Sells credit by Stripe, takes its webhooks, and sweeps what never arrived."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import payments
    from opencode_cloud.kit.settings import load

    handler = payments.build(load(payments.PaymentsSettings))
