"""Fills the development object store: a versioned bucket, the steps' right to use it, and the sample data.

Reads: `AWS_*` of the store's root account, `BUCKET`, `ACCOUNTS` and `READERS` (names, with commas), `PREFIX` (within
the bucket), and the files of `DATA`, which lie beside this one.
Writes: the bucket, its policy, and the data where it is missing.
Again: an existing bucket and existing data stay as they are; the policy is set anew.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

DATA = {"petrol_sample.csv": "data/petrol_consumption.csv"}
"""File beside this one -> key in the bucket."""

OBJECT_ACTIONS = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject"]
MULTIPART_ACTIONS = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
READ_ACTIONS = ["s3:GetObject", "s3:GetObjectVersion"]
BUCKET_ACTIONS = ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:GetBucketVersioning"]

EVERY_SECONDS = 2.0


def client() -> Any:  # noqa: ANN401 - boto3 makes its clients' classes at run time
    """A client of the store, in path style, since the bucket has no name of its own in the cluster's DNS."""
    config = Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=30, retries={"max_attempts": 2})
    return boto3.client("s3", config=config)


def wait(s3: Any) -> None:  # noqa: ANN401
    """Return as soon as the store answers; the Job's deadline ends it otherwise."""
    while True:
        try:
            s3.list_buckets()
        except (EndpointConnectionError, HTTPClientError) as error:
            print(f"waiting for the object store: {error}", flush=True)  # noqa: T201
            time.sleep(EVERY_SECONDS)
        else:
            return


def make_bucket(s3: Any, bucket: str) -> None:  # noqa: ANN401
    """A bucket that keeps every version of an object."""
    try:
        s3.create_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def policy(bucket: str, accounts: list[str], readers: list[str]) -> str:
    """Objects are read, written and deleted by the steps' accounts, read by the readers; the bucket is the root's."""
    arn = f"arn:aws:s3:::{bucket}"
    principal = {"Effect": "Allow", "Principal": {"AWS": accounts}}
    reader = {"Effect": "Allow", "Principal": {"AWS": readers}}
    statements = [
        {**principal, "Action": OBJECT_ACTIONS + MULTIPART_ACTIONS, "Resource": [f"{arn}/*"]},
        {**principal, "Action": BUCKET_ACTIONS, "Resource": [arn]},
        {**reader, "Action": READ_ACTIONS, "Resource": [f"{arn}/*"]},
        {**reader, "Action": ["s3:ListBucket"], "Resource": [arn]},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def set_policy(s3: Any, bucket: str, text: str) -> None:  # noqa: ANN401
    """Set it as soon as the store knows every account: on an upgrade one with a new step's is only just starting."""
    while True:
        try:
            s3.put_bucket_policy(Bucket=bucket, Policy=text)
        except ClientError as error:
            if error.response["Error"]["Code"] != "MalformedPolicy":
                raise
            print(f"waiting for the accounts: {error}", flush=True)  # noqa: T201
            time.sleep(EVERY_SECONDS)
            wait(s3)
        else:
            return


def put_if_absent(s3: Any, bucket: str, key: str, path: Path) -> bool:  # noqa: ANN401
    """Whether the object was missing and is there now."""
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes(), ContentType="text/csv", IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        return False
    return True


def main() -> None:
    """All of it, with a line for each thing that was done."""
    bucket, prefix = os.environ["BUCKET"], os.environ["PREFIX"]
    accounts, readers = os.environ["ACCOUNTS"].split(","), os.environ["READERS"].split(",")
    s3 = client()
    wait(s3)
    make_bucket(s3, bucket)
    set_policy(s3, bucket, policy(bucket, accounts, readers))
    print(f"bucket {bucket} is there, with versions, for {', '.join([*accounts, *readers])}")  # noqa: T201
    for name, key in DATA.items():
        done = put_if_absent(s3, bucket, prefix + key, Path(__file__).parent / name)
        print(f"s3://{bucket}/{prefix}{key} {'put' if done else 'was there'}")  # noqa: T201


if __name__ == "__main__":
    main()
