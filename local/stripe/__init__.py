"""A stand-in for Stripe, to which the `stripe` library speaks. It was never compared with the real Stripe."""

from local.stripe.client import DEVELOPMENT_KEY, StripeStandIn

__all__ = ["DEVELOPMENT_KEY", "StripeStandIn"]
