"""Where an object lies in S3: a bucket and a key."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_KEY_BYTES = 1024


NEW_BUCKET = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


OLD_BUCKET = re.compile(r"(?=.*[A-Z_])[A-Za-z0-9._-]{3,255}")


# Documentation writes these; a bucket of the old kind could be called so, and none is known to be.
PLACEHOLDER = re.compile(r".*[<>{$].*|(YOUR|MY)?[-_]?BUCKET([-_]?NAME)?", re.DOTALL)


NUMBERS = re.compile(r"\d+(\.\d+){3}")


ALIASES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


class Location(NamedTuple):
    """A bucket and a key (or a prefix)."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """As `s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def folder(self) -> Location:
        """The folder of this name: what `data/demo` and `data/demo/` both mean."""
        key = self.key
        return self if not key or key.endswith("/") else Location(self.bucket, key + "/")


def parse_uri(uri: str) -> Location:
    """Split `s3://bucket/key`.

    Raises:
        ValueError: the text is not an S3 URI, or no bucket or object can have such a name.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{uri!r} is not of the form s3://bucket/key")
    check_bucket_name(bucket)
    if len(key.encode()) > MAX_KEY_BYTES:
        raise ValueError(
            f"the key of {uri[:60]!r}... has {len(key.encode())} bytes, S3 allows {MAX_KEY_BYTES}"
        )
    return Location(bucket, key)


def check_bucket_name(name: str) -> None:
    """Refuse what can't be the name of a bucket that we can read, by S3's naming rules.

    Old buckets in us-east-1 may have capitals and underscores in their names, and up to 255
    characters.

    Raises:
        ValueError: there can be no such bucket, or it is an access point or of another kind.
    """
    if name.startswith("arn:"):
        raise ValueError(f"{name!r} is an ARN: give the name of the bucket behind it")
    if name.endswith(ALIASES):
        raise ValueError(
            f"{name!r} is an access point or a bucket of a special kind, which are not "
            "supported: give the name of a general purpose bucket"
        )
    if PLACEHOLDER.fullmatch(name):
        raise ValueError(f"{name!r} is a placeholder: put the bucket's name in its place")
    if not (NEW_BUCKET.fullmatch(name) or OLD_BUCKET.fullmatch(name)) or NUMBERS.fullmatch(name):
        raise ValueError(
            f"{name!r} can't be the name of a bucket: those are 3 to 63 lower-case letters, "
            "digits, hyphens and single dots, with a letter or digit at both ends, and are no "
            "IP address"
        )
