"""The gateway enforces a workspace's policy and a key's limits, for any configuration of the client."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from opencode_cloud.access.models import KnownKey
from opencode_cloud.catalogue.models import Format, Route
from opencode_cloud.contracts.access import EnforcedPolicy, EnforcedRules, KnownGroup, KnownMember
from opencode_cloud.contracts.ids import AccountId, GroupId, KeyId, MemberId, WorkspaceId
from opencode_cloud.gateway.formats import PathTarget, read_request, tool_names
from opencode_cloud.kit.errors import ServiceError
from tests.unit.gateway.calling import WHOLE, Connection, Rig, Scripted
from tests.unit.gateway.catalogues import catalogue, model, upstream


def rig(policy: EnforcedPolicy | None = None, key: KnownKey | None = None) -> Rig:
    found = Rig(
        catalogue(model(Route(upstream="a", model="m"), aliases=("alias",)), a=upstream()), lambda _: Scripted()
    )
    workspace = msgspec.structs.replace(found.caller.workspace, policy=policy or EnforcedPolicy())
    found.caller = replace(found.caller, workspace=workspace, key=key)
    return found


async def refusal(found: Rig, **body: Any) -> str:
    with pytest.raises(ServiceError) as raised:
        await found.call(**body)
    assert not found.asked
    assert not found.ledger.reserved
    return raised.value.code


def key(*models: str) -> KnownKey:
    return KnownKey(id=KeyId("key_1"), workspace_id=WorkspaceId("wrk_1"), models=models)


@pytest.mark.parametrize("name", ["m1", "alias"])
@pytest.mark.parametrize(
    "policy",
    [
        EnforcedPolicy(models=EnforcedRules(deny=("opencode-cloud/m1",))),
        EnforcedPolicy(models=EnforcedRules(allow=("opencode-cloud/other",))),
        EnforcedPolicy(models=EnforcedRules(deny=("*/m?",))),
        EnforcedPolicy(providers=EnforcedRules(deny=("opencode-cloud",))),
        EnforcedPolicy(providers=EnforcedRules(allow=("another",))),
    ],
)
async def test_a_model_that_the_policy_denies_is_refused_by_all_its_names(policy: EnforcedPolicy, name: str) -> None:
    assert await refusal(rig(policy), model=name) == "model_not_permitted"


@pytest.mark.parametrize("name", ["M1", "m1 ", "opencode-cloud/m1", "m1\n", "m", ""])
async def test_another_spelling_is_no_model(name: str) -> None:
    assert await refusal(rig(), model=name) in {"model_not_found", "invalid_request"}


async def test_a_key_may_be_for_some_models_only() -> None:
    assert await refusal(rig(key=key("opencode-cloud/other"))) == "model_not_permitted"
    assert (await rig(key=key("opencode-cloud/m*")).call()).body == WHOLE


def grouped(*groups: tuple[str, EnforcedRules]) -> Rig:
    """Return a rig whose caller is in groups with these names and rules, beside a group of others."""
    found, others = rig(), KnownGroup(id=GroupId("grp_0"), name="Others", models=EnforcedRules(allow=()))
    known = [KnownGroup(id=GroupId(f"grp_{name}"), name=name, models=rules) for name, rules in groups]
    workspace = replace(found.caller.workspace, groups=(others, *known))
    member = KnownMember(
        id=MemberId("mem_1"),
        account_id=AccountId("acc_1"),
        workspace_id=workspace.id,
        role="member",
        groups=tuple(group.id for group in known),
    )
    found.caller = replace(found.caller, workspace=workspace, member=member)
    return found


async def test_lists_of_groups_add_up_and_a_denial_wins() -> None:
    mine, other = EnforcedRules(allow=("opencode-cloud/m*",)), EnforcedRules(allow=("opencode-cloud/other",))
    denies = EnforcedRules(deny=("*/m1",))
    for permitted in ((), (("A", mine),), (("A", other), ("B", mine)), (("A", EnforcedRules(deny=("*/x",))),)):
        assert (await grouped(*permitted).call()).body == WHOLE
    for refused, named in (
        ((("A", other),), "your group `A`"),
        ((("A", other), ("B", other)), "your groups `A` and `B`"),
        ((("A", mine), ("B", denies)), "your group `B`"),
        ((("A", denies),), "your group `A`"),
    ):
        with pytest.raises(ServiceError, match=named) as raised:
            await grouped(*refused).call()
        assert raised.value.code == "model_not_permitted"


async def test_a_group_widens_neither_the_policy_nor_a_key() -> None:
    everything = ("A", EnforcedRules(allow=("*",)))
    by_policy, by_key = grouped(everything), grouped(everything)
    policy = EnforcedPolicy(models=EnforcedRules(deny=("opencode-cloud/m1",)))
    by_policy.caller = replace(by_policy.caller, workspace=replace(by_policy.caller.workspace, policy=policy))
    by_key.caller = replace(by_key.caller, key=key("opencode-cloud/other"))
    assert await refusal(by_policy) == await refusal(by_key) == "model_not_permitted"


async def test_a_denied_upstream_is_no_way() -> None:
    policy = EnforcedPolicy(providers=EnforcedRules(deny=("a",)))
    assert await refusal(rig(policy)) == "upstream_not_configured"


async def test_a_denied_tool_must_not_be_offered_to_the_model() -> None:
    tools = [{"type": "function", "function": {"name": "webfetch", "parameters": {}}}]
    assert await refusal(rig(EnforcedPolicy(tools=EnforcedRules(deny=("web*",)))), tools=tools) == "tool_not_permitted"
    assert await refusal(rig(EnforcedPolicy(tools=EnforcedRules(allow=("bash",)))), tools=tools) == "tool_not_permitted"
    assert (await rig(EnforcedPolicy(tools=EnforcedRules(deny=("bash",)))).call(tools=tools)).body == WHOLE


@pytest.mark.parametrize(
    ("format_", "body"),
    [
        (
            Format.CHAT,
            b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function",'
            b'"function":{"name":"bash"}},{"type":"function","function":{"name":"edit"}}]}',
        ),
        (
            Format.MESSAGES,
            b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],'
            b'"tools":[{"name":"bash","input_schema":{}},{"name":"edit","input_schema":{}}]}',
        ),
        (
            Format.RESPONSES,
            b'{"model":"m","input":"x","tools":[{"type":"function","name":"bash"},{"type":"function","name":"edit"}]}',
        ),
        (
            Format.GENERATE,
            b'{"contents":[{"parts":[{"text":"x"}]}],"tools":[{"functionDeclarations":'
            b'[{"name":"bash"},{"name":"edit"}]}]}',
        ),
    ],
)
def test_tools_are_found_in_every_format(format_: Format, body: bytes) -> None:
    found = tool_names(read_request(format_, body, PathTarget("m", stream=False)))
    assert [tool.whole for tool in found] == ["bash", "edit"]


def test_tools_in_groups_and_in_the_middle_of_an_input_are_found_too() -> None:
    body = {
        "model": "m",
        "input": [
            {"role": "user", "content": "x"},
            {"type": "additional_tools", "tools": [{"type": "function", "name": "late"}]},
        ],
        "tools": [{"type": "namespace", "name": "group", "tools": [{"type": "function", "name": "inner"}]}],
    }
    found = tool_names(read_request(Format.RESPONSES, json.dumps(body).encode()))
    assert [tool.whole for tool in found] == ["group", "group__inner", "late"]


@pytest.mark.parametrize(
    ("rules", "permitted"),
    [
        (EnforcedRules(deny=("mcp__git__delete",)), False),
        (EnforcedRules(deny=("mcp__git__*",)), False),
        (EnforcedRules(deny=("delete",)), False),
        (EnforcedRules(deny=("mcp__git",)), False),
        (EnforcedRules(deny=("mcp__git__read",)), True),
        (EnforcedRules(allow=("mcp__git__delete",)), True),
        (EnforcedRules(allow=("mcp__git", "delete")), True),
        (EnforcedRules(allow=("delete",)), False),
        (EnforcedRules(allow=("mcp__git",)), False),
    ],
)
@pytest.mark.parametrize("namespace", ["mcp__git", "MCP__git__"])
def test_a_namespace_hides_no_tool_from_the_policy(rules: EnforcedRules, namespace: str, *, permitted: bool) -> None:
    assert rules.permit_tool("delete", namespace) is permitted


async def test_the_gateway_enforces_the_whole_name_of_a_tool_in_a_namespace() -> None:
    group = {"type": "namespace", "name": "git", "tools": [{"type": "function", "name": "delete"}]}
    found = rig(EnforcedPolicy(tools=EnforcedRules(deny=("git__delete",))))
    body = {"model": "m1", "input": "x", "tools": [group]}
    incoming = replace(found.incoming(), format=Format.RESPONSES, body=json.dumps(body).encode())
    with pytest.raises(ServiceError, match="git__delete"):
        await found.calls.serve(incoming, Connection())


@pytest.mark.parametrize(("kind", "denied"), [("local_shell", "bash"), ("apply_patch", "edit"), ("computer", "comp*")])
async def test_a_tool_without_a_name_is_denied_by_its_kind(kind: str, denied: str) -> None:
    found = rig(EnforcedPolicy(tools=EnforcedRules(deny=(denied,))))
    body = {"model": "m1", "input": "x", "tools": [{"type": kind}]}
    incoming = replace(found.incoming(), format=Format.RESPONSES, body=json.dumps(body).encode())
    with pytest.raises(ServiceError, match=kind):
        await found.calls.serve(incoming, Connection())


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        *(("bash", name) for name in ("bash", "Bash", "BASH", "shell", "local_shell", "exec_command")),
        *(("webfetch", name) for name in ("WebFetch", "web_fetch", "web-fetch")),
        *(("edit", name) for name in ("Edit", "MultiEdit", "Write", "write", "apply_patch", "str_replace_editor")),
        *((pattern, "bash") for pattern in ("Bash", "shell", "Shell", "sh*")),
        ("write", "write_file"),
        ("MCP_*", "mcp_github_search"),
    ],
)
def test_a_rule_means_a_tool_however_an_agent_spells_it(pattern: str, name: str) -> None:
    assert not EnforcedRules(deny=(pattern,)).permit_tool(name)
    assert EnforcedRules(allow=(pattern,)).permit_tool(name)


@pytest.mark.parametrize(
    ("pattern", "name"), [("bash", "bash_history"), ("write", "edit"), ("read", "write"), ("web", "webfetch")]
)
def test_a_rule_means_no_other_tool(pattern: str, name: str) -> None:
    assert EnforcedRules(deny=(pattern,)).permit_tool(name)
    assert not EnforcedRules(allow=(pattern,)).permit_tool(name)


async def test_the_gateway_refuses_another_agents_spelling() -> None:
    tools = [{"type": "function", "function": {"name": "Bash", "parameters": {}}}]
    assert await refusal(rig(EnforcedPolicy(tools=EnforcedRules(deny=("bash",)))), tools=tools) == "tool_not_permitted"
