"""The development object store, from this machine.

Reads: the Secret `versitygw`. Writes: objects in the bucket `tidegate`; versions are kept. Again: the same bytes are
not written, since a new version of them would be new work for every step that reads it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidegate.cli.port_forward import forward

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.kubectl import Kubectl

SERVICE, PORT, BUCKET, REGION = "versitygw", 7070, "tidegate", "us-east-1"
SECRET = "versitygw"  # noqa: S105 - the name of a Secret
PETROL_KEY = "data/petrol_consumption.csv"
"""What the pipeline `petrol` trains on."""


@contextmanager
def object_store(kubectl: Kubectl) -> Iterator[Any]:
    """A boto3 S3 client, signed in as the store's root, while the block runs; its way in is renewed where it broke."""
    keys = kubectl.secret(SECRET)
    with forward(kubectl, SERVICE, PORT) as way:
        client = _client(f"http://{way.address}", keys["ROOT_ACCESS_KEY"], keys["ROOT_SECRET_KEY"])
        client.meta.events.register("before-send.s3", lambda **_: way.ensure())
        try:
            yield client
        finally:
            client.close()


def replace(store: Any, key: str, body: bytes, *, media: str) -> bool:  # noqa: ANN401 - boto3 has no types
    """Make `body` the object's newest version; False where it is already."""
    try:
        known = store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    except store.exceptions.NoSuchKey:
        known = None
    if known == body:
        return False
    store.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType=media)
    return True


def _client(endpoint: str, access: str, secret: str) -> Any:  # noqa: ANN401 - boto3 has no types
    import boto3  # noqa: PLC0415 - half a second that most commands need not pay
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        s3={"addressing_style": "path"}, proxies={}, connect_timeout=10, read_timeout=120, retries={"max_attempts": 5}
    )
    session = boto3.session.Session(aws_access_key_id=access, aws_secret_access_key=secret, region_name=REGION)
    return session.client("s3", endpoint_url=endpoint, config=config)
