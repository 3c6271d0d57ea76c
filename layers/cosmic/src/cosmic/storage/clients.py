"""Clients of AWS that a function starts with.

They are botocore's, which boto3 wraps. boto3 would bring a library for transfers and one for
resources, and look for all of AWS's services on the disk to find one.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.config import Config
from botocore.loaders import Loader
from botocore.session import Session

SERVICES = ("s3", "secretsmanager")


class _Loader(Loader):
    """Finds the descriptions of services without listing the folders of four hundred others."""

    def list_available_services(self, type_name: str) -> list[str]:
        """Those that a function talks to, whatever it is that is described."""
        return list(SERVICES)


@cache
def _session() -> Session:
    """The environment's region and credentials, which all clients share."""
    session = Session()
    session.register_component("data_loader", _Loader())
    return session


def aws_client(service: str, config: Config | None = None) -> Any:
    """A client for the region and with the credentials of the environment.

    Args:
        service: One of `SERVICES`.
        config: How it waits and tries again.

    Raises:
        botocore.exceptions.BotoCoreError: there is no region, or no such service.
    """
    return _session().create_client(service, config=config)
