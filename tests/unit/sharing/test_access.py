"""Access to a share by mode and policy. integration/test_share_access.py tests its routes."""

from __future__ import annotations

import pytest

from opencode_cloud.contracts.access import EnforcedPolicy, KnownWorkspace
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.sharing.models import Mode
from opencode_cloud.sharing.service.access import narrowed


def workspace(share_mode: str) -> KnownWorkspace:
    return KnownWorkspace(id=WorkspaceId("wrk_1"), name="Acme", policy=EnforcedPolicy(share_mode=share_mode))


@pytest.mark.parametrize("mode", Mode)
def test_a_policy_only_narrows(mode: Mode) -> None:
    assert narrowed(mode, workspace("link")) is mode
    assert narrowed(mode, workspace("workspace")) is Mode.WORKSPACE
    assert narrowed(mode, workspace("off")) is None


@pytest.mark.parametrize("mode", Mode)
def test_in_a_workspace_that_is_blocked_or_gone_nobody_reads(mode: Mode) -> None:
    assert narrowed(mode, None) is None
