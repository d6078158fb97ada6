"""Builders of services that several functions share."""
