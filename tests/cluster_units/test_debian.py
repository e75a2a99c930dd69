"""A root has the machine's mirror, its own certificates and its pip settings."""

from __future__ import annotations

import pytest

from tidegate.cluster import debian
from tidegate.cluster.errors import ClusterError

NEW = """Types: deb
URIs: http://mirror.example/debian/
Suites: bookworm
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
"""
OLD = """# deb http://commented.example/debian bookworm main
deb [signed-by=/k.gpg] https://mirror.example/debian bookworm main
"""
OTHER = "deb https://packages.example/apt cloud main\n"


def _pem(text: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"


def test_mirror_is_read_from_both_forms_of_source_files() -> None:
    assert debian.mirror([OTHER, NEW]) == debian.Mirror(
        "http://mirror.example/debian", "http://mirror.example/debian-security"
    )
    assert debian.mirror([OLD]) == debian.Mirror(
        "https://mirror.example/debian", "https://mirror.example/debian-security"
    )


def test_machine_without_a_debian_mirror_is_told_what_to_set() -> None:
    with pytest.raises(ClusterError, match=r"set \$TIDEGATE_DEBIAN_MIRROR"):
        debian.mirror([OTHER])


def test_sources_cover_archive_updates_and_security() -> None:
    assert debian.mirror([NEW]).sources("trixie") == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/debian-security trixie-security main",
    ]


def test_only_certificates_that_the_owner_added_count() -> None:
    public, own = _pem("AAAA"), _pem("BBBB")
    rewrapped = _pem("AA\nAA")
    assert debian.own_certificates(f"{rewrapped}\n{own}\n", [public]) == [own]
    assert debian.own_certificates(public, [public]) == []


def test_pip_settings_keep_addresses_and_drop_local_paths() -> None:
    listing = (
        "global.index-url='https://mirror.example/simple'\n:env:.find-links='/opt/wheels'\n"
        ":env:.cert='/home/me/ca.pem'\nglobal.timeout='60'\n"
    )
    assert debian.pip_settings(listing).splitlines() == [
        "[global]",
        "index-url = https://mirror.example/simple",
        "timeout = 60",
        "cert = /etc/ssl/certs/ca-certificates.crt",
    ]
    assert debian.pip_settings(":env:.find-links='/opt/wheels'\n") == ""
