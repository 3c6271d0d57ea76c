"""Which calls to AWS's APIs the functions make, so that they can be held against their roles."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

MOST_KEPT = 5_000
CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/[^/]+/([^/]+)/")
OBJECT_ACTIONS = {
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "PUT": "s3:PutObject",
    "POST": "s3:PutObject",
    "DELETE": "s3:DeleteObject",
}
LAMBDA_PATHS = {
    "/2016-08-19/account-settings": "lambda:GetAccountSettings",
    "/concurrency": "lambda:GetFunctionConcurrency",
}
SERVICES = {"AWSStepFunctions": "states", "AmazonSQS": "sqs"}


class ApiCallLog:
    """The distinct calls so far, by who made them.

    Every function's access key is its logical id, so a request says whose it is.
    """

    def __init__(self) -> None:
        self._seen: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()

    def note(self, environ: Mapping[str, Any]) -> None:
        """Keep a request that is signed."""
        found = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if found is None:
            return
        caller, service = found.groups()
        action, resource = _named(service, environ)
        with self._lock:
            if len(self._seen) < MOST_KEPT:
                self._seen.add((caller, action, resource))

    def seen(self) -> list[dict[str, str]]:
        """Caller, IAM action and, for S3, the resource's ARN; else an empty one."""
        with self._lock:
            return [
                {"caller": caller, "action": action, "resource": resource}
                for caller, action, resource in sorted(self._seen)
            ]


def _named(service: str, environ: Mapping[str, Any]) -> tuple[str, str]:
    path = str(environ.get("PATH_INFO", ""))
    if service == "s3":
        return _s3(environ["REQUEST_METHOD"], path, str(environ.get("QUERY_STRING", "")))
    if service == "lambda":
        for end, action in LAMBDA_PATHS.items():
            if path.rstrip("/").endswith(end):
                return action, ""
        return f"lambda:{environ['REQUEST_METHOD']} {path}", ""
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    prefix, _, operation = target.rpartition(".")
    return f"{SERVICES.get(prefix, prefix)}:{operation}", ""


def _s3(method: str, path: str, query: str) -> tuple[str, str]:
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    if not key and method == "POST" and "delete" in query:
        return "s3:DeleteObject", ""  # of the keys in the body
    if not key and "uploads" in query:
        return "s3:ListBucketMultipartUploads", f"arn:aws:s3:::{bucket}"
    if not key:
        action = "s3:ListBucket" if method in ("GET", "HEAD") else f"s3:{method}Bucket"
        return action, f"arn:aws:s3:::{bucket}"
    action = "s3:PutObjectTagging" if query.startswith("tagging") else OBJECT_ACTIONS[method]
    if "uploadId=" in query and method == "DELETE":
        action = "s3:AbortMultipartUpload"
    if "versionId=" in query and action == "s3:GetObject":
        action = "s3:GetObjectVersion"
    return action, f"arn:aws:s3:::{bucket}/{key}"
