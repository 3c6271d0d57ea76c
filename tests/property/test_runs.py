"""Runs share nothing: none writes into another's folder, wherever their manifests put results."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from cosmic.contracts.layout import RunFolder, run_id
from cosmic.contracts.manifest import check_manifest
from cosmic.errors import InvalidInput

JOBS = ("a", "b-0123456789ab")
NAMES = ("status.json", "shards/rank-0000-of-0001.npy", "combined_data.json")


class Wanted(NamedTuple):
    """What matters of a manifest and its upload."""

    job: str
    revision: str
    prefix: str
    result_path: str | None

    @property
    def run(self) -> str:
        """The id of the run that it starts."""
        return run_id(self.job, "bucket", f"manifests/{self.job}.json", self.revision)


RUNS = [Wanted(job, revision, "", None).run for job in JOBS for revision in "12"]
PATHS = st.lists(
    st.sampled_from(["runs", "runs", "x", "x", "shards", *RUNS]), min_size=1, max_size=3
).map("/".join)
WANTED = st.builds(
    Wanted, st.sampled_from(JOBS), st.sampled_from("12"), PATHS.map("{}/".format), st.none() | PATHS
)


def written(wanted: Wanted) -> tuple[str, set[str]]:
    """A run's folder and the keys that it writes; none if its manifest is refused."""
    document = {
        "version": 1,
        "job": wanted.job,
        "model": {"uri": "s3://bucket/m"},
        "data": {"uri": "s3://bucket/d/"},
        "output": {"prefix": wanted.prefix, "cai_result_path": wanted.result_path},
    }
    try:
        output = check_manifest(document).output
    except InvalidInput:
        return "refused", set()
    folder = RunFolder("bucket", output.prefix, wanted.run)
    keys = {folder.at(name).key for name in NAMES}
    if output.cai_result_path:
        keys.add(f"{output.cai_result_path}/combined_data.json")
    return folder.at("").key, keys


@given(WANTED, WANTED)
@example(Wanted("a", "1", "runs/", None), Wanted("a", "2", f"runs/{RUNS[0]}/", None))
@example(Wanted("a", "1", "runs/", None), Wanted("a", "2", "runs/", f"runs/{RUNS[0]}"))
def test_no_run_writes_into_anothers_folder(a: Wanted, b: Wanted) -> None:
    (folder, keys), (other_folder, other_keys) = written(a), written(b)
    if a.run == b.run:
        return
    assert not any(key.startswith(other_folder) for key in keys)
    assert not any(key.startswith(folder) for key in other_keys)
    if a.result_path != b.result_path:  # who names one twice wants what is there replaced
        assert not keys & other_keys
