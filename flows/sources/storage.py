"""A folder of this machine or of a bucket, as one kind of file system."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.fs as pafs


def open_storage(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return the file system of an address, and the path in it.

    `s3://bucket/path` takes the usual `AWS_…` variables, `AWS_ENDPOINT_URL` for stores other than
    Amazon's; anything else is a folder.
    """
    if not uri.startswith("s3://"):
        return pafs.LocalFileSystem(), str(Path(uri).absolute())
    parts = urlsplit(uri)
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    storage = pafs.S3FileSystem(
        access_key=os.environ.get("AWS_ACCESS_KEY_ID"),
        secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY"),
        session_token=os.environ.get("AWS_SESSION_TOKEN"),
        region=os.environ.get("AWS_REGION", "us-east-1"),
        scheme=endpoint.scheme or "https",
        endpoint_override=endpoint.netloc or None,
    )
    return storage, f"{parts.netloc}{parts.path}".rstrip("/")
