"""No partition is lost because the reply to a listing was damaged on its way."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from urllib3.response import HTTPResponse

from cosmic.contracts.location import Location
from cosmic.errors import CosmicError, TransientError
from cosmic.storage.listing import LISTINGS, agreed_listing
from cosmic.storage.objects import LIST_ATTEMPTS, Store

KEYS = [f"d/part-{number:05d}.safetensors" for number in range(5)]
PAGE = 2
AT = Location("bucket", "d/")
Spoil = Callable[[bytes], bytes]


class Listing:
    """A client's end of the line: pages of two keys, the first replies spoilt."""

    def __init__(self) -> None:
        self.spoil: dict[int, Spoil] = {}
        self.keys: list[str] = KEYS
        self.replies = 0

    def __call__(self, request: Any, **_: Any) -> AWSResponse:
        """The reply in the place of S3's."""
        query = parse_qs(urlsplit(request.url).query)
        body = self._page(int(query.get("continuation-token", ["0"])[0])).encode()
        body = self.spoil.get(self.replies, bytes)(body)
        self.replies += 1
        raw = HTTPResponse(BytesIO(body), preload_content=False)
        return AWSResponse(request.url, 200, {}, raw)  # type: ignore[arg-type]

    def _page(self, start: int) -> str:
        keys, rest = self.keys[start : start + PAGE], self.keys[start + PAGE :]
        entries = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-11-28T12:00:00.000Z</LastModified>"
            f"<ETag>&#34;{'0' * 32}&#34;</ETag><Size>7</Size></Contents>"
            for key in keys
        )
        token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if rest else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>bucket</Name><Prefix>d/</Prefix><KeyCount>{len(keys)}</KeyCount>"
            f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>{token}{entries}"
            "</ListBucketResult>"
        )


@pytest.fixture
def listing() -> Listing:
    return Listing()


@pytest.fixture
def store(listing: Listing, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """S3 whose listings are those."""
    monkeypatch.setattr("cosmic.storage.objects.RESUME_PAUSE_S", 0)
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    events: Any = client.meta.events
    events.register("before-send.s3", listing)
    yield Store(client)
    client.close()


def instead(old: bytes, new: bytes) -> Spoil:
    def spoil(body: bytes) -> bytes:
        assert old in body
        return body.replace(old, new, 1)

    return spoil


def test_two_listings_that_agree_are_enough(listing: Listing, store: Store) -> None:
    assert list(agreed_listing(store, AT)) == KEYS
    assert listing.replies == 2 * 3


@pytest.mark.parametrize(
    "spoil",
    [
        instead(b">true<", b">tsue<"),
        instead(b">true<", b">false<"),
        instead(b"<KeyCount>2<", b"<KeyCount>3<"),
        instead(b"<Key>d/", b"<Key>e/"),
        instead(b"<Size>7<", b"<Size>?<"),
        instead(b"-28T12", b"-28X12"),
    ],
)
def test_a_page_that_contradicts_itself_is_asked_for_again(
    listing: Listing, store: Store, spoil: Spoil
) -> None:
    listing.spoil = {0: spoil}
    assert [found.key for found in store.list(AT)] == KEYS
    listing.spoil = dict.fromkeys(range(listing.replies, 99), spoil)
    with pytest.raises(TransientError, match=f"damaged {LIST_ATTEMPTS} times"):
        list(store.list(AT))


@pytest.mark.parametrize("reply", range(3))
def test_a_key_that_became_another_is_noticed(listing: Listing, store: Store, reply: int) -> None:
    listing.spoil = {reply: instead(b".safetensors<", b".safetenoors<")}
    assert list(agreed_listing(store, AT)) == KEYS
    assert listing.replies == 3 * 3


def test_the_only_page_that_has_the_wrong_end(listing: Listing, store: Store) -> None:
    listing.keys = KEYS[:PAGE]
    listing.spoil = {0: instead(b">false<", b">true<")}
    assert list(agreed_listing(store, AT)) == KEYS[:PAGE]


def test_listings_that_never_agree_are_not_believed(listing: Listing, store: Store) -> None:
    for number in range(LISTINGS):
        other = f".safetensor{number}<".encode()
        listing.spoil[3 * number] = instead(b".safetensors<", other)
    with pytest.raises(TransientError, match=f"{LISTINGS} listings of s3://bucket/d/ all differ"):
        agreed_listing(store, AT)


@pytest.mark.parametrize("seed", range(4))
def test_whichever_bit_is_flipped(listing: Listing, store: Store, seed: int) -> None:
    """All partitions, or a named error: never fewer."""
    draw = random.Random(seed)  # noqa: S311
    whole = 0
    for _ in range(100):

        def flip(body: bytes) -> bytes:
            spoilt = bytearray(body)
            spoilt[draw.randrange(len(body))] ^= 1 << draw.randrange(8)
            return bytes(spoilt)

        listing.spoil = {listing.replies + draw.randrange(6): flip}
        try:
            found = agreed_listing(store, AT)
        except CosmicError:
            continue
        assert list(found) == KEYS
        whole += 1
    assert whole
