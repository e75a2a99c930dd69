"""The Data Lake stand-in answers the real SDK as the service does, and checks signatures on what it translates."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.filedatalake import DataLakeServiceClient

from tests.jobs.servers import ACCOUNT, Server
from tests.jobs.weather import Admin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.filedatalake import FileSystemClient


@pytest.fixture
def service(abfss_server: Server) -> Iterator[DataLakeServiceClient]:
    with _service(abfss_server, abfss_server.extra["key"]) as service:
        yield service


@pytest.fixture
def lake(service: DataLakeServiceClient, request: pytest.FixtureRequest) -> Iterator[FileSystemClient]:
    """A filesystem of the test's own."""
    name = f"fs-{abs(hash(request.node.name)):x}"
    filesystem = service.create_file_system(name)
    yield filesystem
    filesystem.delete_file_system()


def _service(server: Server, key: str) -> DataLakeServiceClient:
    url = f"http://{server.address}/{ACCOUNT}"
    return DataLakeServiceClient(url, credential={"account_name": ACCOUNT, "account_key": key}, retry_total=0)


def test_appended_data_is_seen_after_flush_only(lake: FileSystemClient) -> None:
    file = lake.get_file_client("a/b/file.txt")
    file.create_file(metadata={"who": "tidegate", "note": "a=b, c"})
    file.append_data(b"world", offset=6, length=5)
    file.append_data(b"hello ", offset=0, length=6)
    assert file.get_file_properties().size == 0
    file.flush_data(11)
    file.append_data(b"!", offset=11, length=1)
    file.flush_data(12)
    assert file.download_file().readall() == b"hello world!"
    properties = file.get_file_properties()
    assert properties.metadata == {"who": "tidegate", "note": "a=b, c"}
    assert properties.size == 12


def test_a_gap_or_a_wrong_length_is_refused_at_flush(lake: FileSystemClient) -> None:
    file = lake.create_file("gap")
    file.append_data(b"abc", offset=0, length=3)
    file.append_data(b"xyz", offset=5, length=3)
    for position in (2, 5, 8):
        with pytest.raises(HttpResponseError) as caught:
            file.flush_data(position)
        assert caught.value.status_code == 400
    assert file.get_file_properties().size == 0


def test_an_append_into_flushed_data_is_refused(lake: FileSystemClient) -> None:
    file = lake.create_file("flushed")
    file.append_data(b"abc", offset=0, length=3)
    file.flush_data(3)
    with pytest.raises(HttpResponseError) as caught:
        file.append_data(b"x", offset=1, length=1)
    assert caught.value.status_code == 400
    assert file.download_file().readall() == b"abc"


def test_a_file_made_anew_forgets_what_was_not_flushed(lake: FileSystemClient) -> None:
    file = lake.create_file("anew")
    file.append_data(b"abc", offset=0, length=3)
    file.create_file()
    file.append_data(b"x", offset=0, length=1)
    file.flush_data(1)
    assert file.download_file().readall() == b"x"


def test_create_if_missing_conflicts(lake: FileSystemClient) -> None:
    file = lake.create_file("once")
    with pytest.raises(ResourceExistsError) as caught:
        file.create_file(match_condition=MatchConditions.IfMissing)
    assert caught.value.status_code == 409
    file.create_file()


def test_rename_obeys_its_conditions(lake: FileSystemClient) -> None:
    for name in ("new", "old"):
        file = lake.create_file(name)
        file.append_data(name.encode(), offset=0, length=3)
        file.flush_data(3)
    target = f"{lake.file_system_name}/old"
    source, old = lake.get_file_client("new"), lake.get_file_client("old")
    with pytest.raises(ResourceExistsError):
        source.rename_file(target, match_condition=MatchConditions.IfMissing)
    with pytest.raises(ResourceModifiedError):
        source.rename_file(target, etag='"0x0"', match_condition=MatchConditions.IfNotModified)
    assert old.download_file().readall() == b"old"
    etag = old.get_file_properties().etag
    source.rename_file(target, etag=etag, match_condition=MatchConditions.IfNotModified)
    assert old.download_file().readall() == b"new"
    with pytest.raises(ResourceNotFoundError):
        source.get_file_properties()
    with pytest.raises(ResourceNotFoundError):
        source.rename_file(f"{lake.file_system_name}/other")


def test_rename_moves_a_directory_with_all_in_it(lake: FileSystemClient) -> None:
    lake.create_file("from/deep/file")
    lake.get_directory_client("from").rename_directory(f"{lake.file_system_name}/to")
    assert sorted(str(path.name) for path in lake.get_paths()) == ["to", "to/deep", "to/deep/file"]


def test_list_pages_and_tells_directories(lake: FileSystemClient) -> None:
    for number in range(7):
        lake.create_file(f"many/file{number}")
    lake.create_file("many/below/file")
    lake.create_file("manyother")
    names = [path.name for path in lake.get_paths("many", max_results=3)]
    assert names == ["many/below", "many/below/file", *(f"many/file{number}" for number in range(7))]
    shallow = {path.name: path.is_directory for path in lake.get_paths(recursive=False)}
    assert shallow == {"many": True, "manyother": False}
    with pytest.raises(ResourceNotFoundError):
        list(lake.get_paths("nowhere"))


def test_a_directory_is_deleted_with_all_in_it(lake: FileSystemClient) -> None:
    lake.create_file("gone/deep/file")
    lake.get_directory_client("gone").delete_directory()
    assert list(lake.get_paths()) == []
    with pytest.raises(ResourceNotFoundError):
        lake.get_file_client("gone/deep/file").delete_file()


def test_a_file_is_no_directory(lake: FileSystemClient) -> None:
    lake.create_file("file")
    with pytest.raises(ResourceExistsError) as caught:
        lake.create_file("file/below")
    assert caught.value.status_code == 409


def test_a_missing_filesystem_is_named(service: DataLakeServiceClient) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        service.get_file_client("nofilesystem", "x").create_file()
    assert getattr(caught.value, "error_code", "") == "FilesystemNotFound"


def test_a_wrong_key_is_refused_on_every_translated_call(abfss_server: Server, lake: FileSystemClient) -> None:
    lake.create_file("kept")
    with _service(abfss_server, "d3Jvbmc=") as wrong:
        filesystem = wrong.get_file_system_client(lake.file_system_name)
        file = filesystem.get_file_client("kept")
        for call in (
            lambda: filesystem.create_file("new"),
            lambda: file.append_data(b"x", offset=0, length=1),
            lambda: file.flush_data(0),
            lambda: file.rename_file(f"{lake.file_system_name}/moved"),
            lambda: list(filesystem.get_paths()),
            file.delete_file,
        ):
            with pytest.raises(ClientAuthenticationError):
                call()
    assert [path.name for path in lake.get_paths()] == ["kept"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"SharedKey {ACCOUNT}:AAAA"},
        {"Authorization": f"SharedKey {ACCOUNT}:AAAA", "x-ms-date": "Mon, 01 Jan 2001 00:00:00 GMT"},
        {"Authorization": "Bearer abc"},
    ],
)
def test_unsigned_stale_or_foreign_requests_are_refused(abfss_server: Server, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection(abfss_server.address, timeout=10)
    connection.request("PUT", f"/{ACCOUNT}/tidegate/x?resource=file", headers=headers)
    assert connection.getresponse().status == 403
    connection.close()


def test_the_readers_key_reads_and_changes_nothing(abfss_server: Server, lake: FileSystemClient) -> None:
    file = lake.create_file("folder/kept")
    file.append_data(b"abc", offset=0, length=3)
    file.flush_data(3)
    with _service(abfss_server, abfss_server.extra["reader"]) as reading:
        filesystem = reading.get_file_system_client(lake.file_system_name)
        seen = filesystem.get_file_client("folder/kept")
        assert seen.download_file().readall() == b"abc"
        assert seen.get_file_properties().size == 3
        assert [path.name for path in filesystem.get_paths("folder")] == ["folder/kept"]
        for call in (
            lambda: filesystem.create_file("new"),
            lambda: seen.append_data(b"x", offset=3, length=1),
            lambda: seen.flush_data(3),
            lambda: seen.rename_file(f"{lake.file_system_name}/moved"),
            lambda: seen.set_metadata({"a": "b"}),
            seen.delete_file,
            filesystem.delete_file_system,
        ):
            with pytest.raises(HttpResponseError) as caught:
                call()
            assert caught.value.status_code == 403
    assert file.download_file().readall() == b"abc"


@pytest.mark.parametrize("call", ["create", "append", "flush", "rename", "list", "delete", "blob"])
def test_a_call_goes_wrong_when_it_is_told_to(abfss_server: Server, lake: FileSystemClient, call: str) -> None:
    admin = Admin(abfss_server.extra["admin"])
    admin.forget()
    file = lake.create_file("file")
    calls = {
        "create": lambda: lake.create_file("other"),
        "append": lambda: file.append_data(b"x", offset=0, length=1),
        "flush": lambda: file.flush_data(1),
        "rename": lambda: file.rename_file(f"{lake.file_system_name}/renamed"),
        "list": lambda: list(lake.get_paths()),
        "delete": lambda: lake.get_file_client("renamed").delete_file(),
        "blob": file.get_file_properties,
    }
    for earlier in list(calls)[: list(calls).index(call)] if call != "blob" else []:
        calls[earlier]()
    admin.tell(call, "status", status=418, match=lake.file_system_name)
    with pytest.raises(HttpResponseError) as caught:
        calls[call]()
    assert caught.value.status_code == 418
    calls[call]()
    assert admin.taken() == [f"{call} status"]


def test_an_admin_that_is_told_nonsense_says_what_it_wants(abfss_server: Server) -> None:
    for nonsense in ({"call": "create"}, {"call": "create", "do": "explode"}, {"call": "x", "do": "lose", "y": 1}):
        connection = http.client.HTTPConnection(abfss_server.extra["admin"], timeout=10)
        connection.request("POST", "/faults", body=json.dumps(nonsense))
        answer = connection.getresponse()
        assert (answer.status, "want" in answer.read().decode()) == (400, True)
        connection.close()
