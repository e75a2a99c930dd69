"""Secrets are not shown: not by repr, not in errors, not in what is printed."""

from __future__ import annotations

import io
import pickle

import pytest

from tidegate.step import Secret
from tidegate.step.secret import Redacted, redact, secret_values


def test_a_secret_shows_nothing_of_itself() -> None:
    secret = Secret("hush-hush")
    assert "hush" not in f"{secret} {secret!r} {[secret]} {vars(Secret)}"
    assert secret.reveal() == "hush-hush"
    assert secret == Secret("hush-hush")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)


def test_secrets_are_known_by_name_or_declaration() -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "the-key-id",
        "AWS_SECRET_ACCESS_KEY": "aws+secret/value",
        "AZURE_STORAGE_KEY": "azure-storage",
        "OPENWEATHERMAP_KEY": "weather-key",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
        "TIDEGATE_PARAMS": '{"key": 1}',
        "DB_PASSWORD": "short",
        "PLAIN": "declared-one",
    }
    values = secret_values(environ, declared={"PLAIN"})
    assert {"aws+secret/value", "aws%2Bsecret%2Fvalue", "azure-storage", "weather-key", "declared-one"} <= values
    assert not {"the-key-id", "/var/run/token", "short", '{"key": 1}'} & values


def test_redaction_takes_the_longest_first() -> None:
    assert redact("key=abcdefgh abcdef", ["abcdef", "abcdefgh"]) == "key=*** ***"


def test_a_secret_written_in_two_halves_is_redacted_too() -> None:
    out = io.StringIO()
    stream = Redacted(out, ["hush-hush"])
    stream.write("the key is hush")
    stream.write("-hush\nand ")
    assert out.getvalue() == "the key is ***\n"
    stream.flush()
    assert out.getvalue() == "the key is ***\nand "
