"""Each agent gets its own files, in its own format. All else in them stays, and comes back byte for byte."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_cloud import MODELS
from machines import Machine

from opencode_cloud_connect.agents import AGENTS
from opencode_cloud_connect.errors import NotEditable
from opencode_cloud_connect.formats.jsonc import JSONC

LLM_FOLDER = "Library/Application Support/io.datasette.llm" if sys.platform == "darwin" else ".config/io.datasette.llm"


@dataclass(frozen=True)
class Expected:
    """Files that a person has, texts in them that must stay, and a check of the files that are written."""

    before: dict[str, str]
    kept: tuple[str, ...]
    check: Callable[[dict[str, str], str, str], None]
    """Takes texts by name, the server's address and the key."""


def claude_code(files: dict[str, str], url: str, key: str) -> None:
    variables = JSONC.read(files[".claude/settings.json"], ["env"])
    assert variables["ANTHROPIC_BASE_URL"] == f"{url}/zen"
    assert variables["ANTHROPIC_AUTH_TOKEN"] == key
    assert variables["ANTHROPIC_MODEL"] == "claude-sonnet-5"
    assert variables["ANTHROPIC_DEFAULT_HAIKU_MODEL"] == "claude-haiku-4-5"
    assert variables["ANTHROPIC_DEFAULT_OPUS_MODEL"] == "claude-sonnet-5"


def codex(files: dict[str, str], url: str, key: str) -> None:
    config = tomllib.loads(files[".codex/config.toml"])
    assert (config["model"], config["model_provider"]) == ("gpt-5.2", "opencode-cloud")
    provider = config["model_providers"]["opencode-cloud"]
    assert (provider["base_url"], provider["wire_api"]) == (f"{url}/zen/v1", "responses")
    assert f"{provider['env_key']}={key}\n" in files[".codex/.env"]
    assert key not in files[".codex/config.toml"]


def gemini(files: dict[str, str], url: str, key: str) -> None:
    settings = files[".gemini/settings.json"]
    assert JSONC.read(settings, ["security", "auth", "selectedType"]) == "gemini-api-key"
    assert JSONC.read(settings, ["model", "name"]) == "gemini-3-pro"
    assert f"GEMINI_API_KEY={key}\n" in files[".gemini/.env"]
    assert f"GOOGLE_GEMINI_BASE_URL={url}/zen\n" in files[".gemini/.env"]


def qwen(files: dict[str, str], url: str, key: str) -> None:
    settings = files[".qwen/settings.json"]
    first = JSONC.read(settings, ["modelProviders", "openai"])[0]
    assert (first["id"], first["baseUrl"]) == ("qwen3-coder", f"{url}/zen/v1")
    assert JSONC.read(settings, ["env", first["envKey"]]) == key
    assert JSONC.read(settings, ["security", "auth", "selectedType"]) == "openai"
    assert JSONC.read(settings, ["model", "name"]) == "qwen3-coder"


def cline(files: dict[str, str], url: str, key: str) -> None:
    document = json.loads(files[".cline/data/settings/providers.json"])
    assert document["lastUsedProvider"] == "openai-compatible"
    settings = document["providers"]["openai-compatible"]["settings"]
    assert (settings["baseUrl"], settings["apiKey"], settings["model"]) == (f"{url}/zen/v1", key, "claude-sonnet-5")


def aider(files: dict[str, str], url: str, key: str) -> None:
    lines = files[".aider.conf.yml"].splitlines()
    assert 'model: "openai/claude-sonnet-5"' in lines
    assert f'openai-api-base: "{url}/zen/v1"' in lines
    assert f'openai-api-key: "{key}"' in lines


def llm(files: dict[str, str], url: str, key: str) -> None:
    models = files[f"{LLM_FOLDER}/extra-openai-models.yaml"]
    assert models.count("- model_id: ") == models.count(f'api_base: "{url}/zen/v1"') + models.count("elsewhere")
    assert all(f'model_id: "opencode-cloud/{model}"' in models for model in MODELS)
    assert json.loads(files[f"{LLM_FOLDER}/keys.json"])["opencode-cloud"] == key


def opencode(files: dict[str, str], url: str, key: str) -> None:
    name = next(name for name in files if "opencode/opencode.json" in name)
    provider = JSONC.read(files[name], ["provider", "opencode-cloud"])
    assert provider["options"]["baseURL"] == f"{url}/zen/v1"
    assert set(provider["models"]) == set(MODELS)
    assert JSONC.read(files[name], ["model"]) == "opencode-cloud/claude-sonnet-5"
    assert key not in files[name]
    assert provider["options"]["apiKey"].endswith("/.config/opencode-cloud/keys/opencode}")


EXPECTED = {
    "claude-code": Expected(
        {".claude/settings.json": '{\n    // mine\n    "env": {"FOO": "1"},\n    "hooks": {"Stop": ["x"]},\n}'},
        ("// mine", '"FOO": "1"', '"hooks": {"Stop": ["x"]}'),
        claude_code,
    ),
    "codex": Expected(
        {
            ".codex/config.toml": '# mine\nmodel = "gpt-5"   # old\nsandbox_mode = "x"\n\n[tui] # look\ntheme = "x"',
            ".codex/.env": "# secrets\nOTHER=1",
        },
        ("# mine\n", 'sandbox_mode = "x"\n', '[tui] # look\ntheme = "x"', "# secrets\nOTHER=1"),
        codex,
    ),
    "gemini": Expected(
        {
            ".gemini/settings.json": '{ "ui": {"theme": "Dark"}, /* note */ "security": {"folderTrust": true} }\n',
            ".gemini/.env": "export GEMINI_API_KEY=old\nDEBUG=1\n",
        },
        ('"ui": {"theme": "Dark"}', "/* note */", '"folderTrust": true', "DEBUG=1"),
        gemini,
    ),
    "qwen": Expected(
        {".qwen/settings.json": '{\n\t"modelProviders": {"openai": [{"id": "mine"}]}, // here\n\t"$version": 3\n}\n'},
        ("// here", '"$version": 3', '"mine"'),
        qwen,
    ),
    "cline": Expected(
        {".cline/data/settings/providers.json": '{"lastUsedProvider": "x", "providers": {"x": {"a": 1}}}\n'},
        ('"x": {"a": 1}',),
        cline,
    ),
    "aider": Expected(
        {".aider.conf.yml": "# mine\nmodel: sonnet # old\nread: [CONVENTIONS.md]\nopenai-api-key: 'sk-mine'\n"},
        ("# mine\n", "read: [CONVENTIONS.md]\n"),
        aider,
    ),
    "llm": Expected(
        {
            f"{LLM_FOLDER}/extra-openai-models.yaml": "# mine\n  - model_id: local\n    api_base: http://elsewhere\n",
            f"{LLM_FOLDER}/keys.json": '{\n  "// Note": "This file stores secrets.",\n  "openai": "sk-mine"\n}\n',
        },
        ("# mine\n  - model_id: local\n    api_base: http://elsewhere\n", '"openai": "sk-mine"', "// Note"),
        llm,
    ),
    "opencode": Expected(
        {".config/opencode/opencode.jsonc": '{\n  // look\n  "theme": "system",\n  "provider": {"own": {}}\n}\n'},
        ("// look", '"theme": "system"', '"own": {}'),
        opencode,
    ),
}  # fmt: skip


def texts(machine: Machine) -> dict[str, str]:
    return {name: content.decode() for name, (content, _) in machine.files().items()}


def test_every_agent_is_specified_here() -> None:
    assert set(EXPECTED) == set(AGENTS)


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_without_files_gets_its_files_and_loses_them_again(machine: Machine, agent: str) -> None:
    machine.connect(agent)
    EXPECTED[agent].check(texts(machine), machine.cloud.url, machine.key)
    machine.disconnect(agent)
    assert machine.files() == {}
    assert not list((machine.home / ".config/opencode-cloud").rglob("*.json"))
    assert not (machine.home / ".config/opencode-cloud/keys" / agent).exists()


@pytest.mark.parametrize("agent", AGENTS)
def test_what_a_person_configured_stays_and_comes_back_byte_for_byte(machine: Machine, agent: str) -> None:
    machine.write(EXPECTED[agent].before)
    before = machine.files()
    machine.connect(agent)
    written = "".join(texts(machine).values())
    assert [text for text in EXPECTED[agent].kept if text not in written] == []
    EXPECTED[agent].check(texts(machine), machine.cloud.url, machine.key)
    machine.disconnect(agent)
    assert machine.files() == before


@pytest.mark.parametrize("agent", AGENTS)
def test_a_second_connection_changes_the_model_and_the_files_before_still_come_back(
    machine: Machine, agent: str
) -> None:
    machine.write(EXPECTED[agent].before)
    before = machine.files()
    machine.connect(agent, model="gpt-5.2")
    machine.connect(agent)
    EXPECTED[agent].check(texts(machine), machine.cloud.url, machine.key)
    machine.disconnect(agent)
    assert machine.files() == before


@pytest.mark.parametrize("agent", AGENTS)
def test_no_secret_is_printed_and_files_with_one_are_private(machine: Machine, agent: str) -> None:
    machine.write(EXPECTED[agent].before)
    machine.connect(agent)
    said = machine.said
    assert machine.key not in said
    assert "sk-mine" not in said
    with_key = [name for name, (content, _) in machine.files().items() if machine.key.encode() in content]
    assert {machine.files()[name][1] for name in with_key} <= {0o600}
    own = machine.home / ".config" / "opencode-cloud"
    assert {file.stat().st_mode & 0o777 for file in own.rglob("*") if file.is_file()} == {0o600}
    assert own.stat().st_mode & 0o777 == 0o700


EDITS: dict[str, tuple[str, Callable[[str], str]]] = {
    "claude-code": (".claude/settings.json", lambda text: JSONC.put(text, ["env", "MINE"], "later")),
    "codex": (".codex/config.toml", lambda text: f'# later\n{text}\n[projects."/x"]\ntrust_level = "trusted"\n'),
    "gemini": (".gemini/settings.json", lambda text: JSONC.put(text, ["ui", "later"], True)),
    "qwen": (".qwen/settings.json", lambda text: JSONC.put(text, ["ui", "later"], True)),
    "cline": (".cline/data/settings/providers.json", lambda text: JSONC.put(text, ["later"], 1)),
    "aider": (".aider.conf.yml", lambda text: text + "later: true\n"),
    "llm": (f"{LLM_FOLDER}/keys.json", lambda text: JSONC.put(text, ["later"], "sk-later")),
    "opencode": (".config/opencode/opencode.json", lambda text: JSONC.put(text, ["later"], True)),
}


@pytest.mark.parametrize("agent", AGENTS)
def test_later_changes_of_a_person_stay_when_the_agent_is_disconnected(machine: Machine, agent: str) -> None:
    machine.connect(agent)
    name, change = EDITS[agent]
    file = machine.home / name
    file.write_text(change(file.read_text()))
    machine.disconnect(agent)
    text = file.read_text()
    assert "later" in text
    assert machine.cloud.url not in text
    assert machine.key not in text


def test_a_member_of_ours_that_a_person_changed_since_stays_and_is_named(machine: Machine) -> None:
    machine.connect("claude-code")
    file = machine.home / ".claude" / "settings.json"
    file.write_text(JSONC.put(file.read_text(), ["env", "ANTHROPIC_MODEL"], "mine"))
    said = machine.disconnect("claude-code")
    assert json.loads(file.read_text()) == {"env": {"ANTHROPIC_MODEL": "mine"}}
    assert "env.ANTHROPIC_MODEL" in said


@pytest.mark.parametrize(
    ("agent", "name", "text"),
    [
        ("claude-code", ".claude/settings.json", '{"env": '),
        ("claude-code", ".claude/settings.json", '{"env": "text"}'),
        ("claude-code", ".claude/settings.json", "[]"),
        ("codex", ".codex/config.toml", "model = "),
        ("codex", ".codex/config.toml", 'model_providers = { mine = { name = "x" } }\n'),
        ("codex", ".codex/config.toml", 'model = """\nx"""\n'),
        ("aider", ".aider.conf.yml", "model:\n  sonnet\n"),
        ("aider", ".aider.conf.yml", "{model: sonnet}\n"),
        ("aider", ".aider.conf.yml", "---\n# mine\n  model: sonnet\n"),
        ("aider", ".aider.conf.yml", "dark-mode: true\n...\n"),
        ("gemini", ".gemini/.env", 'GEMINI_API_KEY="one\ntwo"\n'),
        ("llm", f"{LLM_FOLDER}/extra-openai-models.yaml", "models: {}\n"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_changed_safely_stays_and_its_key_is_revoked(
    machine: Machine, agent: str, name: str, text: str
) -> None:
    machine.write({name: text})
    before = machine.files()
    with pytest.raises(NotEditable, match=name.rpartition("/")[2]):
        machine.connect(agent)
    assert machine.files() == before
    assert [key["revoked"] for key in machine.cloud.keys.values()] == [True]


def test_opencode_takes_the_servers_own_entry_with_the_library_of_each_model(machine: Machine) -> None:
    entry: dict[str, Any] = {
        "name": "Acme's models",
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": "ignored", "headers": {"x-org-id": "wrk_1"}},
        "models": {"claude-sonnet-5": {"provider": {"npm": "@ai-sdk/anthropic"}}},
    }
    machine.cloud.config = {
        "provider": {"acme": entry},
        "model": "acme/gpt-5.2",
        "small_model": "acme/claude-haiku-4-5",
    }
    machine.connect("opencode")
    text = texts(machine)[".config/opencode/opencode.json"]
    assert JSONC.read(text, ["provider", "opencode-cloud", "models"]) == entry["models"]
    assert set(JSONC.read(text, ["provider", "opencode-cloud", "options"])) == {"baseURL", "apiKey"}
    assert JSONC.read(text, ["model"]) == "opencode-cloud/gpt-5.2"
    assert JSONC.read(text, ["small_model"]) == "opencode-cloud/claude-haiku-4-5"


@pytest.mark.parametrize(
    ("variable", "agent", "file"),
    [
        ("CLAUDE_CONFIG_DIR", "claude-code", "moved/settings.json"),
        ("CODEX_HOME", "codex", "moved/config.toml"),
        ("GEMINI_CLI_HOME", "gemini", "moved/.gemini/settings.json"),
        ("CLINE_DIR", "cline", "moved/data/settings/providers.json"),
        ("CLINE_DATA_DIR", "cline", "moved/settings/providers.json"),
        ("LLM_USER_PATH", "llm", "moved/keys.json"),
        ("XDG_CONFIG_HOME", "opencode", "moved/opencode/opencode.json"),
    ],
)
def test_the_agents_own_variables_move_its_files(machine: Machine, variable: str, agent: str, file: str) -> None:
    machine.environment[variable] = str(machine.home / "moved")
    machine.connect(agent)
    assert (machine.home / file).exists()


def test_a_relative_folder_is_that_of_the_connection(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.environment["CODEX_HOME"] = "moved"
    monkeypatch.chdir(machine.home)
    machine.connect("codex")
    assert (machine.home / "moved" / "config.toml").exists()
    monkeypatch.chdir(machine.home.parent)
    machine.disconnect("codex")
    assert machine.files() == {}


def test_an_empty_variable_moves_nothing(machine: Machine) -> None:
    machine.environment["CLINE_DATA_DIR"] = ""
    machine.connect("cline")
    assert list(machine.files()) == [".cline/data/settings/providers.json"]


def of_windows(text: str) -> bytes:
    """Return a text as editors of Windows write it."""
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("agent", AGENTS)
def test_a_file_of_windows_keeps_its_mark_and_its_line_ends(machine: Machine, agent: str) -> None:
    expected = EXPECTED[agent]
    machine.write(dict.fromkeys(expected.before, ""))
    for name, text in expected.before.items():
        (machine.home / name).write_bytes(of_windows(text + "\n"))
    before = machine.files()
    machine.connect(agent)
    plain = {name: text.removeprefix("\ufeff").replace("\r\n", "\n") for name, text in texts(machine).items()}
    expected.check(plain, machine.cloud.url, machine.key)
    assert [name for name in expected.before if machine.files()[name][0] != of_windows(plain[name])] == []
    machine.disconnect(agent)
    assert machine.files() == before


@pytest.mark.parametrize("agent", AGENTS)
def test_an_editor_of_windows_may_save_a_file_that_is_then_taken_back(machine: Machine, agent: str) -> None:
    machine.connect(agent)
    for name, text in texts(machine).items():
        (machine.home / name).write_bytes(of_windows(text))
    machine.disconnect(agent)
    text = "".join(texts(machine).values())
    assert machine.key not in text
    assert machine.cloud.url not in text


def test_a_value_comes_back_with_its_comment_and_quotation_marks(machine: Machine) -> None:
    machine.write({".aider.conf.yml": "model: sonnet # mine\nweak-model: 'haiku'\n"})
    machine.connect("aider")
    file = machine.home / ".aider.conf.yml"
    file.write_text(file.read_text() + "dark-mode: true\n")
    machine.disconnect("aider")
    assert file.read_text() == "model: sonnet # mine\nweak-model: 'haiku'\ndark-mode: true\n"


@pytest.mark.parametrize(
    ("agent", "name", "text"),
    [
        (
            "gemini",
            ".gemini/settings.json",
            '{"mcpServers": {"x": {"env": {"PAT": "secret-1"}, "args": ["secret-2"]}}}',
        ),
        ("claude-code", ".claude/settings.json", '{"env": {"ANTHROPIC_AUTH_TOKEN": "secret-1", "X": "secret-2"}}'),
        ("opencode", ".config/opencode/opencode.json", '{"mcp": {"headers": {"Authorization": "Bearer secret-1"}}}'),
        ("codex", ".codex/.env", "# A=secret-1\nexport OPENCODE_CLOUD_KEY=secret-2,secret-3 # secret-4"),
        ("qwen", ".qwen/settings.json", '{"modelProviders": {"openai": [{"customHeaders": {"x": "secret-1"}}]}}'),
    ],
)
def test_no_value_that_a_person_has_is_printed(machine: Machine, agent: str, name: str, text: str) -> None:
    machine.write({name: text})
    assert "secret-" not in machine.connect(agent)


def test_a_link_to_a_file_that_does_not_exist_stays(machine: Machine) -> None:
    target = machine.home / "dotfiles" / "settings.json"
    link = machine.home / ".claude" / "settings.json"
    link.parent.mkdir()
    link.symlink_to(target)
    machine.connect("claude-code")
    assert target.exists()
    machine.disconnect("claude-code")
    assert link.is_symlink()
    assert not target.exists()


def test_a_file_that_was_broken_since_is_named(machine: Machine) -> None:
    machine.connect("claude-code")
    file = machine.home / ".claude" / "settings.json"
    file.write_bytes(b"\xff{")
    with pytest.raises(NotEditable, match=r"settings.json cannot be restored: it is not UTF-8"):
        machine.disconnect("claude-code")
    assert file.read_bytes() == b"\xff{"


def test_a_link_stays_a_link(machine: Machine) -> None:
    machine.write({"dotfiles/settings.json": "{}"})
    (machine.home / ".claude").mkdir()
    link = machine.home / ".claude" / "settings.json"
    link.symlink_to(machine.home / "dotfiles" / "settings.json")
    machine.connect("claude-code")
    assert link.is_symlink()
    assert machine.key in (machine.home / "dotfiles" / "settings.json").read_text()


def test_agents_learn_the_context_of_a_model_that_they_do_not_know(machine: Machine) -> None:
    known = {"limit": {"context": 200_000, "output": 8_000}, "modalities": {"input": ["text", "image"]}}
    models = dict.fromkeys(MODELS, known)
    machine.cloud.config = {"provider": {"acme": {"models": models}}}
    for agent in ("claude-code", "codex", "qwen"):
        machine.connect(agent, model="gemini-3-pro")
    written = texts(machine)
    env = JSONC.read(written[".claude/settings.json"], ["env"])
    assert env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "200000"
    assert tomllib.loads(written[".codex/config.toml"])["model_context_window"] == 200_000
    first = JSONC.read(written[".qwen/settings.json"], ["modelProviders", "openai"])[0]
    assert first["generationConfig"] == {"contextWindowSize": 200_000, "modalities": {"image": True}}


@pytest.mark.parametrize(("agent", "model"), [("claude-code", "claude-sonnet-5"), ("codex", "gpt-5.2")])
def test_an_agent_keeps_its_own_knowledge_of_its_vendors_models(machine: Machine, agent: str, model: str) -> None:
    models = {name: {"limit": {"context": 200_000}} for name in MODELS}
    machine.cloud.config = {"provider": {"acme": {"models": models}}}
    machine.connect(agent, model=model)
    assert "200000" not in "".join(texts(machine).values())
