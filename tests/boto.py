"""A process reads once what boto3 knows of S3: each client reads it anew, which is most of what making one takes.

Steps are forked from a process that has imported this; so they have no need to read it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.loaders import create_loader

if TYPE_CHECKING:
    from collections.abc import Mapping

botocore.session.create_loader = cache(create_loader)


def client(environment: Mapping[str, str]) -> Any:
    """A client of S3 for whom these variables are."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


NOBODY = {
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
}
client(NOBODY)
