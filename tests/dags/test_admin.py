"""The admin account is there after every install, with the password of the Secret."""

from __future__ import annotations

import runpy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

from tidegate.airflow import admin
from tidegate.airflow.admin import ensure, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "correct horse"

pytestmark = pytest.mark.filterwarnings("ignore")
"""Flask and its extensions warn of each other."""


@pytest.fixture(scope="module")
def opened(database: None) -> Iterator[Any]:
    """Airflow's users; to open them takes seconds, in which every permission is looked for."""
    with get_application_builder() as builder:
        yield builder


@pytest.fixture
def users(opened: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same for `ensure`, which finds in the database what an earlier call left there, and nothing in memory."""

    @contextmanager
    def again() -> Iterator[Any]:
        opened.session.expire_all()
        yield opened

    monkeypatch.setattr(admin, "get_application_builder", again)
    return opened.sm


def roles(users: Any, user: str, password: str) -> list[str]:
    """Roles of who signs in like this; none where the password is wrong."""
    users.session.expire_all()
    found = users.auth_user_db(user, password, rotate_session_id=False)
    return [role.name for role in found.roles] if found else []


def test_the_account_is_made_as_the_chart_makes_it_and_its_password_is_not_printed(
    users: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The program as it stands, in this process: another one takes longer to load Airflow's users than all it does."""
    monkeypatch.setenv("TIDEGATE_ADMIN_USER", "admin")
    monkeypatch.setenv("TIDEGATE_ADMIN_PASSWORD", PASSWORD)
    with caplog.at_level("INFO"):
        runpy.run_module("tidegate.airflow.admin", run_name="__main__")
    said = caplog.text + "".join(capfd.readouterr())
    assert "admin account admin: created" in said
    assert PASSWORD not in said
    assert roles(users, "admin", PASSWORD) == ["Admin"]
    assert ensure("admin", PASSWORD) == "unchanged"


def test_the_account_is_kept_and_follows_the_secret(users: Any) -> None:
    assert ensure("second", PASSWORD) == "created"
    assert ensure("second", PASSWORD) == "unchanged"
    assert ensure("second", "another") == "updated"
    assert roles(users, "second", "another") == ["Admin"]
    assert roles(users, "second", PASSWORD) == []


def test_an_account_that_somebody_demoted_is_mended(users: Any) -> None:
    ensure("third", PASSWORD)
    user = users.find_user(username="third")
    user.roles, user.active = [users.find_role("Viewer")], False
    users.update_user(user)
    assert ensure("third", PASSWORD) == "updated"
    assert set(roles(users, "third", PASSWORD)) == {"Admin", "Viewer"}


def test_missing_settings_are_named() -> None:
    with pytest.raises(SystemExit, match=r"set \$TIDEGATE_ADMIN_USER, \$TIDEGATE_ADMIN_PASSWORD"):
        settings({"TIDEGATE_ADMIN_PASSWORD": ""})
