"""Rules of policies and configuration documents, free of AWS and HTTP."""

from opencode_cloud.policies.service.compiling import Compiler
from opencode_cloud.policies.service.publishing import Publisher
from opencode_cloud.policies.service.well_known import WellKnown

__all__ = ["Compiler", "Publisher", "WellKnown"]
