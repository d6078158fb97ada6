"""Rules of the catalogue, free of AWS and HTTP.

Publishers import ``service.publishing`` directly, because it needs SQL, which readers do not have.
"""

from opencode_cloud.catalogue.service.reading import CatalogueCache, CatalogueReader

__all__ = ["CatalogueCache", "CatalogueReader"]
