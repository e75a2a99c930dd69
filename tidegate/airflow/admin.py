"""Sees to it that the admin account can sign in: `python -m tidegate.airflow.admin`, after `airflow db migrate`.

Reads: `$TIDEGATE_ADMIN_USER`, `$TIDEGATE_ADMIN_PASSWORD`. Writes: that user, active, with the role Admin, in Airflow's
database. Again: changes nothing unless the password is another; then the new one counts and old sessions end.
The password stands in no argument and no log.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from werkzeug.security import check_password_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

USER_VARIABLE, PASSWORD_VARIABLE = "TIDEGATE_ADMIN_USER", "TIDEGATE_ADMIN_PASSWORD"


def settings(environ: Mapping[str, str]) -> tuple[str, str]:
    """User and password; SystemExit names every variable that is missing."""
    if missing := [f"${name}" for name in (USER_VARIABLE, PASSWORD_VARIABLE) if not environ.get(name)]:
        raise SystemExit(f"set {', '.join(missing)}")
    return environ[USER_VARIABLE], environ[PASSWORD_VARIABLE]


def ensure(user: str, password: str) -> str:
    """Make or mend the account; returns what was done: `created`, `updated` or `unchanged`."""
    with get_application_builder() as builder:
        manager: Any = builder.sm
        role, found = manager.find_role("Admin"), manager.find_user(username=user)
        if found is None:
            made = manager.add_user(user, user, "admin", f"{user}@tidegate.invalid", role, password)
            return "created" if made else _refused(user)
        fitting = check_password_hash(found.password or "", password)
        if fitting and found.active and role in found.roles:
            return "unchanged"
        found.active, found.roles = True, list({*found.roles, role})
        done = manager.update_user(found) and (fitting or manager.reset_password(found.id, password))
        return "updated" if done else _refused(user)


def _refused(user: str) -> str:
    raise SystemExit(f"Airflow did not take user {user!r}; its reason is in the lines above")


def main() -> None:
    """Entry point."""
    user, password = settings(os.environ)
    log.info("admin account %s: %s", user, ensure(user, password))


if __name__ == "__main__":
    main()
