"""Where a run keeps what: its id and the keys of its objects."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from cosmic.contracts.location import Location

# The files of a run that are for its user: what its status may name, and what may be copied.
HATS = "catalogue.hats"  # a folder of many files, which is read where it lies
RESULTS = frozenset(
    {
        "catalogue.parquet",
        "catalogue.fits",
        "catalogue.partial.parquet",
        "catalogue.partial.fits",
        "combined_data.json",
        "metrics.json",
        "plan.json",
        "report.html",
        "status.json",
    }
)


def run_id(job: str, bucket: str, key: str, revision: str) -> str:
    """The id of the run that one version of one manifest starts.

    Args:
        job: The manifest's `job`.
        bucket: Bucket of the manifest.
        key: Key of the manifest.
        revision: The object's version id, or its ETag and the event's sequencer.

    Returns:
        `<job>-<12 hex digits>`, a valid Step Functions execution name.
    """
    digest = hashlib.sha256("\0".join((bucket, key, revision)).encode()).hexdigest()
    return f"{job}-{digest[:12]}"


RUN_ID = re.compile(r"[a-z0-9-]*-[0-9a-f]{12}")


def run_folder_in(path: str) -> str | None:
    """The first folder of a path that has the name of a run, if there is one.

    Runs share nothing, for no run's folder lies in another's: where results may land, no folder is
    named like a run.
    """
    return next((name for name in path.split("/") if RUN_ID.fullmatch(name)), None)


MAX_FOLDER_BYTES = 512  # half of what a key may have: a run's names need some of the rest


def no_folder(path: str) -> str | None:
    """Why a path can't be a folder in a bucket and on any disk that it is copied to, if it can't.

    S3 takes `..` as a name like any other in the middle of a key, and refuses it at the beginning;
    whatever copies the bucket to a disk would leave its folder.
    """
    if {".", ".."} & set(path.split("/")):
        return "has . or .. instead of a folder's name"
    if any(unicodedata.category(character) == "Cc" for character in path):
        return "holds a control character"
    if (size := len(path.encode())) > MAX_FOLDER_BYTES:
        return f"has {size} bytes in UTF-8, at most {MAX_FOLDER_BYTES} are allowed"
    return None


def job_from_key(key: str) -> str:
    """A job name for a manifest that has none that can be read: its file's name, made plain."""
    stem = key.rsplit("/", 1)[-1].removesuffix(".json").lower()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:60].strip("-") or "manifest"


def rank_name(rank: int, world_size: int) -> str:
    """`rank-0007-of-0052`: names that sort."""
    width = max(4, len(str(world_size)))
    return f"rank-{rank:0{width}d}-of-{world_size:0{width}d}"


@dataclass(frozen=True)
class RunFolder:
    """The objects of one run, all under `<prefix><run>/` in one bucket."""

    bucket: str
    prefix: str
    run: str

    def at(self, name: str) -> Location:
        """An object of the run by its name in the folder."""
        return Location(self.bucket, f"{self.prefix}{self.run}/{name}")

    def shard(self, rank: int, world_size: int) -> Location:
        """The rank's predictions (`cosmic.contracts.shard`)."""
        return self.at(f"shards/{rank_name(rank, world_size)}.npy")

    def record(self, rank: int, world_size: int) -> Location:
        """The rank's record (JSON)."""
        return self.at(f"records/{rank_name(rank, world_size)}.json")

    @property
    def manifest(self) -> Location:
        """The manifest as it was run, and what started it: the run's claim."""
        return self.at("manifest.json")

    @property
    def plan(self) -> Location:
        """The plan."""
        return self.at("plan.json")

    @property
    def parts(self) -> Location:
        """The plan in parts, of which each rank reads its own."""
        return self.at("plan.parts")

    @property
    def ranks(self) -> Location:
        """The Distributed Map's items: one object a rank."""
        return self.at("ranks.json")

    @property
    def status(self) -> Location:
        """What became of the run."""
        return self.at("status.json")

    @property
    def metrics(self) -> Location:
        """Metrics of the redshifts and of the run."""
        return self.at("metrics.json")

    @property
    def report(self) -> Location:
        """The run page."""
        return self.at("report.html")

    @property
    def collective(self) -> Location:
        """What rank 0 knows after the closing collective."""
        return self.at("records/collective.json")

    @property
    def gathered(self) -> Location:
        """All ranks' rows in one object, written by rank 0 where they fit."""
        return self.at("shards/gathered.npy")
