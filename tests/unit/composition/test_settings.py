"""Every function declares its variables, and refuses to start without them."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from local.settings import DOCUMENT, build, text
from opencode_cloud.kit.settings import InvalidSetting, load, variables
from opencode_cloud.kit.sql import DatabaseOwnerSettings, DatabaseSettings

ROOT = Path(__file__).parents[3]
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
FORMS = {"DATABASE_AUTH": "iam", "DATABASE_PORT": "3306", "LOGIN_METHODS": "{}"}


def settings_of(function: str) -> Any:
    return getattr(import_module(f"opencode_cloud.composition.{function}"), f"{function.capitalize()}Settings")


def environment_of(kind: Any) -> dict[str, str]:
    """Return an environment with all variables that ``kind`` needs on AWS."""
    needed = {
        each.name: FORMS.get(each.name, "https://given.example") for each in variables(kind).values() if each.required
    }
    if issubclass(kind, DatabaseOwnerSettings):
        needed |= {"DATABASE_OWNER_HOST": "host", "DATABASE_OWNER_SECRET": "arn"}
    return needed


def test_the_committed_document_is_up_to_date() -> None:
    assert text(build(ROOT)) == (ROOT / DOCUMENT).read_text(), "run `make settings` and commit functions/settings.json"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_starts_with_what_it_requires(function: str) -> None:
    kind = settings_of(function)
    assert isinstance(load(kind, environment_of(kind)), kind)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_refuses_to_start_without_each_variable_that_it_requires(function: str) -> None:
    kind = settings_of(function)
    known = environment_of(kind)
    for missing in known:
        with pytest.raises(InvalidSetting, match=rf"^The environment variable {missing} is missing: "):
            load(kind, {name: value for name, value in known.items() if name != missing})


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (DatabaseSettings, "DATABASE_PASSWORD"),
        (DatabaseOwnerSettings, "DATABASE_OWNER"),
        (DatabaseOwnerSettings, "DATABASE_OWNER_PASSWORD"),
    ],
)
def test_a_database_with_passwords_requires_them(kind: Any, missing: str) -> None:
    names = ("DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER", "DATABASE_PASSWORD")
    known = dict.fromkeys((*names, "DATABASE_OWNER", "DATABASE_OWNER_PASSWORD"), "given")
    known |= {"DATABASE_AUTH": "password"}
    assert load(kind, known)
    with pytest.raises(InvalidSetting, match=f"^The environment variable {missing} is missing: "):
        load(kind, known | {missing: ""})
