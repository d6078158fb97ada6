"""Setup builds the environments of its own checkout only."""

from pathlib import Path

import pytest

from local import setup


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "owner" / "node_modules" / "installed").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_text("{}")
    return tmp_path


def test_an_environment_of_another_checkout_is_left_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = folder / "owner" / "node_modules"
    (folder / "node_modules").symlink_to(kept)
    ran: list[object] = []
    monkeypatch.setattr(setup, "run", lambda *step: ran.append(step))

    setup.install_npm_packages(folder)

    assert ran == []
    assert [path.name for path in kept.iterdir()] == ["installed"]


def test_an_environment_of_this_checkout_is_built_once_for_each_change_of_its_locks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "node_modules").mkdir()
    monkeypatch.setattr(setup, "ROOT", folder)
    ran: list[object] = []
    monkeypatch.setattr(setup, "run", lambda *step: ran.append(step))

    setup.install_npm_packages(folder)
    setup.install_npm_packages(folder)
    (folder / "package-lock.json").write_text('{"changed": true}')
    setup.install_npm_packages(folder)

    assert len(ran) == 2
