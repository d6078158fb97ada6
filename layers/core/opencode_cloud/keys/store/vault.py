"""Seal providers' keys under KMS."""

from __future__ import annotations

from opencode_cloud.contracts.ids import CredentialId, WorkspaceId
from opencode_cloud.keys.models import sealing_unavailable
from opencode_cloud.kit.aws_api.errors import AwsError
from opencode_cloud.kit.envelope_encryption import Sealed, seal, unseal
from opencode_cloud.kit.log import logger


class Vault:
    """Seals secrets of workspaces. A secret that is sealed for one row can be opened for that row only."""

    def __init__(self, key_arn: str) -> None:
        self._key_arn = key_arn

    def seal(self, workspace_id: WorkspaceId, credential_id: CredentialId, secret: str) -> Sealed:
        """Encrypt a secret; raises ``sealing_unavailable``."""
        try:
            return seal(self._key_arn, secret.encode(), _context(workspace_id, credential_id))
        except AwsError as error:
            logger.exception("KMS did not give a data key")
            raise sealing_unavailable() from error

    def open(self, workspace_id: WorkspaceId, credential_id: CredentialId, sealed: Sealed) -> str:
        """Return a secret; raises ``sealing_unavailable``."""
        try:
            return unseal(self._key_arn, sealed, _context(workspace_id, credential_id)).decode()
        except AwsError as error:
            logger.exception("KMS did not open a data key", extra={"credential": credential_id})
            raise sealing_unavailable() from error


def _context(workspace_id: WorkspaceId, credential_id: CredentialId) -> dict[str, str]:
    return {"workspace": workspace_id, "credential": credential_id}
