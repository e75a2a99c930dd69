"""The workspace's storage account: containers in Azurite, and signatures that open them."""

from __future__ import annotations

import http.client
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "2021-12-02"
NOT_PASSED_ON = frozenset({"connection", "host", "keep-alive", "transfer-encoding", "content-length"})


@dataclass
class Storage:
    """One account, whose blobs `upstream` (http://host:port) has."""

    account: str
    key: str = field(repr=False)
    upstream: str
    suffix: str
    """What follows `<account>.blob.` in its host, with the port."""
    _made: set[str] = field(default_factory=set)

    @property
    def host(self) -> str:
        """How it is asked for."""
        return f"{self.account}.blob.{self.suffix}"

    def container(self, name: str) -> str:
        """The path of a container, made if need be."""
        if name not in self._made:
            url = f"{self.upstream}/{self.account}/{name}"
            client = ContainerClient.from_container_url(url, credential=self.key, api_version=VERSION)
            with client, suppress(ResourceExistsError):
                client.create_container()
            self._made.add(name)
        return f"/{self.account}/{name}"

    def put(self, container: str, path: str, text: str) -> None:
        """Write a blob of text."""
        url = f"{self.upstream}{self.container(container)}"
        with ContainerClient.from_container_url(url, credential=self.key, api_version=VERSION) as client:
            client.upload_blob(path, text, overwrite=True)

    def sas(self, name: str) -> str:
        """A signature for reading, writing and listing a container, for an hour."""
        may = ContainerSasPermissions(read=True, write=True, list=True, create=True, add=True, tag=True)
        until = datetime.now(UTC) + timedelta(hours=1)
        return generate_container_sas(self.account, name, account_key=self.key, permission=may, expiry=until)

    def pass_on(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Azurite's answer to a call whose path begins with the account."""
        connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=60)
        kept = {name: value for name, value in headers.items() if name.lower() not in NOT_PASSED_ON}
        try:
            connection.request(method, path, body=body, headers=kept)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()
