"""The scripts that the chart mounts into its containers."""

from __future__ import annotations

import json
import subprocess
from types import ModuleType
from typing import TYPE_CHECKING

import boto3
import psycopg2
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.helm.renders import render
from tests.ports import free_port
from tidegate.cluster.chart import CHART
from tidegate.cluster.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from botocore.client import BaseClient


def script(name: str) -> ModuleType:
    """The script as a module; importing it would leave its bytecode in the chart."""
    path = CHART / "files" / f"{name}.py"
    module = ModuleType(name)
    module.__file__ = str(path)
    exec(compile(path.read_text(), path, "exec"), module.__dict__)  # noqa: S102 - our own
    return module


def test_every_script_is_mounted_as_it_is() -> None:
    maps = [d["data"] for d in render("standalone") if d["kind"] == "ConfigMap"]
    for path in [path for path in (CHART / "files").iterdir() if path.suffix != ".yaml"]:
        assert [data[path.name] for data in maps if path.name in data] == [path.read_text()]


class FakeDatabase:
    """One answer to every query, or one for each; notes what was asked. As much of psycopg2 as the scripts use."""

    def __init__(self, answer: object) -> None:
        self.answer, self.url = answer, ""
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def connect(self, url: str = "", **_: object) -> FakeDatabase:
        self.url = url
        if isinstance(self.answer, Exception):
            raise self.answer
        return self

    def cursor(self) -> FakeDatabase:
        return self

    def __enter__(self) -> FakeDatabase:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, query: str, values: tuple[str, ...] = ()) -> None:
        self.asked.append((query, values))

    def fetchone(self) -> tuple[object]:
        return (self.answer[self.asked[-1][0]] if isinstance(self.answer, dict) else self.answer,)

    def close(self) -> None: ...


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2://airflow:pw@postgresql:5432/airflow"
    )
    return "postgresql://airflow:pw@postgresql:5432/airflow"


HEARTBEATS = {
    "fresh": (3.0, 0),
    "stale": (121.0, 1),
    "never": (None, 1),
    "no database": (psycopg2.OperationalError("connection refused"), 0),
}


@pytest.mark.parametrize("state", HEARTBEATS)
def test_a_probe_fails_only_without_a_fresh_heartbeat(
    state: str, connection: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, code = HEARTBEATS[state]
    heartbeat, database = script("heartbeat"), FakeDatabase(answer)
    monkeypatch.setattr(heartbeat.psycopg2, "connect", database.connect)
    monkeypatch.setattr(heartbeat.socket, "gethostname", lambda: "airflow-scheduler-0")
    assert heartbeat.main("SchedulerJob") == code
    assert database.url == connection
    assert [values for _, values in database.asked] == [("SchedulerJob", "airflow-scheduler-0")] * len(database.asked)
    assert "pw" not in capsys.readouterr().out


FAB_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
HEADS = {"alembic_version": ["c2"], "alembic_version_fab": ["f2"]}
EMPTY: dict[str, object] = {"alembic_version": None}
OLD = {"alembic_version": "c1", "alembic_version_fab": "f1", "user": True}
HALF = {"alembic_version": "c2", "alembic_version_fab": None}
NO_USER = {"alembic_version": "c2", "alembic_version_fab": "f2", "user": False}
READY = {**NO_USER, "user": True}


class Migrating(FakeDatabase):
    """Airflow's database in one state: table -> its revision or None, and whether there is a user."""

    def fetchall(self) -> list[tuple[object]]:
        assert isinstance(self.answer, dict)
        query, values = self.asked[-1]
        if values:
            return [(self.answer[values[0]] is not None,)]
        if "ab_user" in query:
            return [(self.answer["user"],)]
        return [(self.answer[query.rpartition(" ")[2]],)]


NO_TABLE, BEHIND = "the table alembic_version", "alembic_version at c2 (it is at c1)"
NO_FAB, NO_ACCOUNT = "the table alembic_version_fab", "an account"
WAITS: dict[str, tuple[str, dict[str, list[str]], list[tuple[dict[str, object], str]]]] = {
    "FAB": (
        FAB_MANAGER,
        HEADS,
        [(EMPTY, NO_TABLE), (OLD, BEHIND), (HALF, NO_FAB), (NO_USER, NO_ACCOUNT), (READY, "")],
    ),
    "another manager": ("", HEADS, [(EMPTY, NO_TABLE), (OLD, BEHIND), (HALF, "")]),
    "an image that does not know": (FAB_MANAGER, {}, [(EMPTY, NO_TABLE), (OLD, "")]),
}
"""Manager of accounts, what the image knows, and states of the database, each with what it still lacks then."""


@pytest.mark.parametrize("case", WAITS)
def test_waiting_ends_with_this_versions_tables_and_an_account(
    case: str, connection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manager, heads, states = WAITS[case]
    wait, became = script("wait_for_migrations"), list[list[str]]()
    answers = iter([psycopg2.OperationalError("starting up"), *(state for state, _ in states)])
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", manager)
    monkeypatch.setattr(wait, "HEADS", tmp_path / "heads.json")
    if heads:
        wait.HEADS.write_text(json.dumps(heads))
    monkeypatch.setattr(wait.psycopg2, "connect", lambda url, **_: Migrating(next(answers)).connect(url))
    monkeypatch.setattr(wait.time, "sleep", lambda _: None)
    monkeypatch.setattr(wait.os, "execvp", lambda _, words: became.append(words))
    wait.main()
    told = [line.partition("lacks ")[2] for line in capsys.readouterr().out.splitlines()]
    assert told == ["an answer", *(lacks for _, lacks in states if lacks)]
    assert list(answers) == []
    assert [words[:3] for words in became] == ([] if heads else [["airflow", "db", "check-migrations"]])


@pytest.mark.parametrize("server", ["postgresql", "people-postgresql"])
def test_a_volume_of_another_password_ends_the_job(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    create = script("create_databases")
    monkeypatch.setenv("PGHOST", server)
    refusal = psycopg2.OperationalError('FATAL:  password authentication failed for user "postgres"')
    monkeypatch.setattr(create.psycopg2, "connect", FakeDatabase(refusal).connect)
    with pytest.raises(SystemExit, match=f"in the Secret {server}: .* delete the claim data-{server}-0"):
        create.main()


ACCOUNT = {"access": "step-hello", "secret": "a-secret-of-hello", "role": "user"}
READER = {"access": "store-reader", "secret": "a-secret-of-reader", "role": "user"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real versitygw as the chart runs it, and the bucket Job's environment."""
    port = free_port()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name in ("objects", "versions", "accounts"):
        (tmp_path / name).mkdir()
    (tmp_path / "accounts" / "users.json").write_text(
        json.dumps({"accessAccounts": {"step-hello": ACCOUNT, "store-reader": READER}})
    )
    settings = {
        "ROOT_ACCESS_KEY": "root",
        "ROOT_SECRET_KEY": "root-secret",
        "VGW_PORT": f"127.0.0.1:{port}",
        "VGW_IAM_DIR": str(tmp_path / "accounts"),
        "VGW_VERSIONING_DIR": str(tmp_path / "versions"),
    }
    with subprocess.Popen([program("versitygw"), "--quiet", "posix", tmp_path / "objects"], env=settings) as server:
        for name, value in {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "root",
            "AWS_SECRET_ACCESS_KEY": "root-secret",
            "BUCKET": "lake",
            "PREFIX": "team/",
            "ACCOUNTS": "step-hello",
            "READERS": "store-reader",
        }.items():
            monkeypatch.setenv(name, value)
        yield
        server.terminate()


def as_step(account: dict[str, str] = ACCOUNT) -> BaseClient:
    keys = {"aws_access_key_id": account["access"], "aws_secret_access_key": account["secret"]}
    return boto3.client("s3", config=Config(s3={"addressing_style": "path"}), **keys)


@pytest.mark.usefixtures("store")
def test_the_bucket_is_filled_once_and_steps_may_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    bucket, sample = script("bucket"), (CHART / "files" / "petrol_sample.csv").read_bytes()
    bucket.EVERY_SECONDS = 0.1
    bucket.main()
    s3 = as_step()
    assert s3.get_object(Bucket="lake", Key="team/data/petrol_consumption.csv")["Body"].read() == sample
    assert s3.get_bucket_versioning(Bucket="lake")["Status"] == "Enabled"
    s3.put_object(Bucket="lake", Key="team/data/petrol_consumption.csv", Body=b"mine")
    bucket.main()
    assert s3.get_object(Bucket="lake", Key="team/data/petrol_consumption.csv")["Body"].read() == b"mine"
    assert "root-secret" not in capsys.readouterr().out


@pytest.mark.usefixtures("store")
def test_a_step_may_not_touch_the_bucket_itself() -> None:
    bucket = script("bucket")
    bucket.EVERY_SECONDS = 0.1
    bucket.main()
    for forbidden in (
        lambda s3: s3.create_bucket(Bucket="another"),
        lambda s3: s3.delete_bucket(Bucket="lake"),
        lambda s3: s3.put_bucket_policy(Bucket="lake", Policy="{}"),
        lambda s3: s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Suspended"}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            forbidden(as_step())


@pytest.mark.usefixtures("store")
def test_the_reader_sees_objects_and_changes_none() -> None:
    bucket = script("bucket")
    bucket.EVERY_SECONDS = 0.1
    bucket.main()
    s3, key = as_step(READER), "team/data/petrol_consumption.csv"
    assert s3.head_object(Bucket="lake", Key=key)["ContentLength"] == len(
        s3.get_object(Bucket="lake", Key=key)["Body"].read()
    )
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket="lake", Key="team/nothing")
    for forbidden in (
        lambda: s3.put_object(Bucket="lake", Key=key, Body=b"x"),
        lambda: s3.delete_object(Bucket="lake", Key=key),
        lambda: s3.put_bucket_policy(Bucket="lake", Policy="{}"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            forbidden()


@pytest.mark.usefixtures("store")
def test_a_new_steps_account_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On an upgrade the Job is there before the store that knows the new account."""
    bucket, new, looks = script("bucket"), {**ACCOUNT, "access": "step-count-rows"}, []
    monkeypatch.setenv("ACCOUNTS", "step-hello,step-count-rows")

    users = tmp_path / "accounts" / "users.json"
    known = {"step-hello": ACCOUNT, "store-reader": READER}

    def appear(_: float) -> None:
        looks.append(capsys.readouterr().out)
        if "waiting for the accounts" in looks[-1]:
            users.write_text(json.dumps({"accessAccounts": known | {"step-count-rows": new}}))

    monkeypatch.setattr(bucket.time, "sleep", appear)
    bucket.main()
    assert [look for look in looks if "waiting for the accounts" in look], looks
    as_step(new).put_object(Bucket="lake", Key="x", Body=b"x")
