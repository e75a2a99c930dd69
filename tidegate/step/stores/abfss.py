"""`abfss://filesystem@account/path`: Azure Data Lake Storage Gen2, by azure-storage-file-datalake.

Reads: workload identity (AZURE_FEDERATED_TOKEN_FILE), else a client secret (AZURE_TENANT_ID, AZURE_CLIENT_ID,
AZURE_CLIENT_SECRET), else the account's key (AZURE_STORAGE_KEY); AZURE_AUTHORITY_HOST in place of Microsoft's own
Entra, and TIDEGATE_ABFSS_ENDPOINT in place of `https://<account>.dfs.core.windows.net`, for a cloud of one's own or a
stand-in: that takes the account as the first part of the path.
Writes: create, append and flush under a staging name beside the target, then one conditional rename.
Again: a kill leaves at most a hidden `.….partial`, which nobody lists.
"""

# Values and clients have no types before they are looked at; clients are imported when used.
# ruff: noqa: ANN401, PLC0415

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tidegate.step.errors import BadSettings, Changed, Exists, NoBucket, NotFound, StepError, TryAgain
from tidegate.step.stores.abfss_errors import Decided, translated
from tidegate.step.stores.protocol import CHUNK, SMALL, Body, Data, Ranges, Stat, chunks
from tidegate.step.stores.reading import read_small
from tidegate.step.urls import Place, split, split_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.filedatalake import DataLakeFileClient, DataLakeServiceClient, FileProperties

MARK = "tidegate_put"
"""Metadata that tells our own rename from another's when the answer to it was lost."""

PARTIAL = ".partial"
"""How the name of an unfinished write ends."""

IDENTITIES = (
    "a workload identity ($AZURE_FEDERATED_TOKEN_FILE, set by its webhook), or $AZURE_TENANT_ID, $AZURE_CLIENT_ID and "
    "$AZURE_CLIENT_SECRET, or $AZURE_STORAGE_KEY"
)


def service(account: str) -> DataLakeServiceClient:
    """A client of one account, with short timeouts and bounded retries."""
    from azure.storage.filedatalake import DataLakeServiceClient

    name = account.partition(".")[0]
    endpoint = os.environ.get("TIDEGATE_ABFSS_ENDPOINT")
    host = account if "." in account else f"{account}.dfs.core.windows.net"
    return DataLakeServiceClient(
        f"{endpoint.rstrip('/')}/{name}" if endpoint else f"https://{host}",
        credential=_credential(name),
        retry_total=4,
        # the SDK's own waits add up to a hundred seconds, longer than a pod has to stop in
        initial_backoff=1,
        increment_base=2,
        random_jitter_range=1,
        connection_timeout=5,
        read_timeout=60,
        max_single_get_size=CHUNK,
        max_chunk_get_size=CHUNK,
    )


def _credential(account: str) -> Any:
    """The first identity the environment has; BadSettings names all three."""
    if os.environ.get("AZURE_FEDERATED_TOKEN_FILE"):
        from azure.identity import WorkloadIdentityCredential

        return Decided(WorkloadIdentityCredential(**_entra()))
    if secret := os.environ.get("AZURE_CLIENT_SECRET"):
        from azure.identity import ClientSecretCredential

        tenant, client = (os.environ.get(name, "") for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID"))
        if not (tenant and client):
            raise BadSettings("$AZURE_CLIENT_SECRET is set; set $AZURE_TENANT_ID and $AZURE_CLIENT_ID too")
        return Decided(ClientSecretCredential(tenant, client, secret, **_entra()))
    if key := os.environ.get("AZURE_STORAGE_KEY"):
        return {"account_name": account, "account_key": key}
    raise BadSettings(f"no identity for the storage account {account!r}; set {IDENTITIES}")


def _entra() -> dict[str, Any]:
    """How Entra is asked: Microsoft's own list of its clouds knows no other, and would be asked of each."""
    from azure.identity import AzureAuthorityHosts

    known = {host for name, host in vars(AzureAuthorityHosts).items() if name.startswith("AZURE_")}
    host = urlsplit(os.environ.get("AZURE_AUTHORITY_HOST", "")).hostname
    return {"disable_instance_discovery": bool(host) and host not in known, "retry_total": 4, "retry_backoff_max": 8}


class AbfssStore:
    """Objects in one account of Data Lake Storage Gen2."""

    def __init__(self, service: DataLakeServiceClient) -> None:
        self._service = service

    def put(self, url: str, data: Data, *, create_once: bool = False, if_match: str = "") -> Stat:
        """See Store.put."""
        place, mark = split_object(url), uuid.uuid4().hex
        folder, slash, _ = place.key.rpartition("/")
        staged = self._file(place, f"{folder}{slash}.{mark}{PARTIAL}")
        try:
            with translated(url):
                _fill(staged, data, mark)
            self._rename(staged, url, mark, create_once=create_once, if_match=if_match)
        except BaseException:
            with suppress(Exception):
                staged.delete_file()
            raise
        return self._written(url, mark)

    def open(self, url: str) -> Body:
        """See Store.open."""
        from azure.core import MatchConditions

        stat, file = self.stat(url), self._file(split_object(url))

        def fetch(start: int, length: int) -> bytes:
            try:
                with translated(url):
                    same: dict[str, Any] = {"etag": f'"{stat.etag}"', "match_condition": MatchConditions.IfNotModified}
                    return bytes(file.download_file(offset=start, length=length, **same).readall())
            except Changed:
                raise TryAgain(f"{url} was replaced while it was read", url=url) from None

        return Body(Ranges(stat.size, fetch), stat=stat)

    def get(self, url: str, *, at_most: int = SMALL) -> bytes:
        """See Store.get."""
        return read_small(self, url, at_most=at_most)

    def stat(self, url: str) -> Stat:
        """See Store.stat."""
        return _stat(url, self._properties(url))

    def list(self, prefix: str) -> Iterator[Stat]:
        """See Store.list."""
        place = split(prefix)
        filesystem = self._service.get_file_system_client(place.box.partition("@")[0])
        try:
            with translated(prefix):
                yield from sorted(_listed(filesystem, place), key=lambda stat: stat.url)
        except NoBucket:
            raise
        except NotFound:
            return

    def delete(self, url: str) -> None:
        """See Store.delete."""
        with suppress(NotFound), translated(url):
            self._file(split_object(url)).delete_file()

    def presign(self, url: str, *, seconds: int = 3600) -> str:
        """See Store.presign; signed with the account's key, or with a key delegated to our identity."""
        from azure.storage.filedatalake import FileSasPermissions, generate_file_sas

        place, now = split_object(url), datetime.now(UTC)
        folder, _, name = place.key.rpartition("/")
        filesystem, account = place.box.partition("@")[0], str(self._service.account_name)
        until = now + timedelta(seconds=seconds)
        with translated(url):
            signature = generate_file_sas(
                account,
                filesystem,
                folder,
                name,
                self._signing_key(now, until),
                permission=FileSasPermissions(read=True),
                expiry=until,
            )
        return f"{self._file(place).url}?{signature}"

    def _signing_key(self, start: datetime, expiry: datetime) -> Any:
        credential = self._service.credential
        key = getattr(credential, "account_key", None)
        return key or self._service.get_user_delegation_key(start, expiry)

    def _file(self, place: Place, key: str = "") -> DataLakeFileClient:
        return self._service.get_file_client(place.box.partition("@")[0], key or place.key)

    def _properties(self, url: str) -> FileProperties:
        with translated(url):
            properties = self._file(split_object(url)).get_file_properties()
        if (properties.metadata or {}).get("hdi_isfolder") == "true":
            raise NotFound(f"{url} is a folder; correct the URL", url=url)
        return properties

    def _rename(self, staged: DataLakeFileClient, url: str, mark: str, *, create_once: bool, if_match: str) -> None:
        place = split_object(url)
        try:
            with translated(url):
                staged.rename_file(f"{place.box.partition('@')[0]}/{place.key}", **_conditions(create_once, if_match))
        except StepError as error:
            # The answer to a rename can be lost and the rename be tried again, in vain: look whose file is there.
            if not self._is_ours(url, mark):
                raise _unmet(error, url, create_once=create_once, if_match=if_match) from None

    def _is_ours(self, url: str, mark: str) -> bool:
        try:
            return (self._properties(url).metadata or {}).get(MARK) == mark
        except NotFound:
            return False

    def _written(self, url: str, mark: str) -> Stat:
        properties = self._properties(url)
        if (properties.metadata or {}).get(MARK) != mark:
            raise Changed(f"{url} was written and at once replaced by another writer", url=url)
        return _stat(url, properties)


def _fill(file: DataLakeFileClient, data: Data, mark: str) -> None:
    file.create_file(metadata={MARK: mark})
    size = 0
    for piece in chunks(data):
        file.append_data(piece, offset=size, length=len(piece))
        size += len(piece)
    if size:
        file.flush_data(size)


def _conditions(create_once: bool, if_match: str) -> dict[str, Any]:
    from azure.core import MatchConditions

    if create_once:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": f'"{if_match}"', "match_condition": MatchConditions.IfNotModified} if if_match else {}


def _unmet(error: StepError, url: str, *, create_once: bool, if_match: str) -> StepError:
    """What a refused rename means depends on what was asked."""
    if isinstance(error, (Exists, Changed)) and create_once:
        return Exists(f"{url} exists already", url=url)
    if isinstance(error, (Exists, Changed)) and if_match:
        return Changed(f"{url} is no longer the version {if_match}", url=url)
    return error


def _listed(filesystem: Any, place: Place) -> Iterator[Stat]:
    for path in filesystem.get_paths(path=place.key.strip("/") or None, recursive=True):
        if not path.is_directory and not path.name.endswith(PARTIAL):
            url = f"abfss://{place.box}/{path.name}"
            yield Stat(url=url, size=int(path.content_length), etag=_bare(path.etag))


def _stat(url: str, properties: FileProperties) -> Stat:
    return Stat(url=url, size=int(properties.size or 0), etag=_bare(properties.etag))


def _bare(etag: str | None) -> str:
    return (etag or "").strip('"')
