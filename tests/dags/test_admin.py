"""The admin account is there after every install, with the password of the Secret."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

from tidegate.airflow.admin import ensure, settings

PASSWORD = "correct horse"

pytestmark = pytest.mark.filterwarnings("ignore")
"""Flask and its extensions warn of each other."""


def roles(user: str, password: str) -> list[str]:
    """Roles of who signs in like this; none where the password is wrong."""
    with get_application_builder() as builder:
        found = builder.sm.auth_user_db(user, password, rotate_session_id=False)
        return [role.name for role in found.roles] if found else []


def test_the_account_is_made_as_the_chart_makes_it_and_its_password_is_not_printed(database: None) -> None:
    environment = {**os.environ, "TIDEGATE_ADMIN_USER": "admin", "TIDEGATE_ADMIN_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "tidegate.airflow.admin"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "admin account admin: created" in done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert roles("admin", PASSWORD) == ["Admin"]


def test_the_account_is_kept_and_follows_the_secret(database: None) -> None:
    assert ensure("second", PASSWORD) == "created"
    assert ensure("second", PASSWORD) == "unchanged"
    assert ensure("second", "another") == "updated"
    assert roles("second", "another") == ["Admin"]
    assert roles("second", PASSWORD) == []


def test_an_account_that_somebody_demoted_is_mended(database: None) -> None:
    ensure("third", PASSWORD)
    with get_application_builder() as builder:
        user = builder.sm.find_user(username="third")
        user.roles, user.active = [builder.sm.find_role("Viewer")], False
        builder.sm.update_user(user)
    assert ensure("third", PASSWORD) == "updated"
    assert set(roles("third", PASSWORD)) == {"Admin", "Viewer"}


def test_missing_settings_are_named() -> None:
    with pytest.raises(SystemExit, match=r"set \$TIDEGATE_ADMIN_USER, \$TIDEGATE_ADMIN_PASSWORD"):
        settings({"TIDEGATE_ADMIN_PASSWORD": ""})
