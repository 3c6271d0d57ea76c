"""The whole pipeline on this machine, by the library: every step that the command line offers.

    python examples/local_stack.py [--objects 200] [--out FOLDER]

The stack is started from `template.yaml`, the file that is deployed to AWS, and is gone at the
end. For a deployment on AWS, `Deployment.on_aws("my-stack")` takes the place of
`Deployment.start`; everything else stays as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from cosmic import Deployment, RateSource, Run, Status
from cosmic.data.synth.dataset import Sample, write_dataset

ROOT = Path(__file__).parents[1]


def uploaded(deployment: Deployment, objects: int) -> dict[str, object]:
    """A manifest of data and a model that are uploaded for it."""
    with TemporaryDirectory() as folder:
        partitions = write_dataset(Path(folder) / "data", Sample("catalog", objects), 100)
        data = [deployment.upload(path, f"data/example/{path.name}") for path in partitions]
    model = ROOT / "models/tiny/astromae-tiny.safetensors"
    return {
        "version": 1,
        "job": "example",
        "model": {"uri": deployment.upload(model, f"models/{model.name}")},
        "data": {"partitions": data},
        "inference": {"world_size": 2},
    }


def followed(run: Run) -> Status:
    """Print how the run comes on until it has ended."""
    shown = ""
    for snapshot in run.watch():
        seen = snapshot.progress
        line = f"{seen.phase}: {seen.done} of {seen.ranks} ranks, {seen.rows_done} rows"
        if line != shown:
            print(shown := line)
    return run.status()


def main() -> None:
    """Start a stack, run a job in it, show what came of it, and stop the stack."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--objects", type=int, default=200, help="galaxies to predict")
    parser.add_argument("--out", type=Path, default=Path("local-stack"), help="folder to write to")
    given = parser.parse_args()

    with Deployment.start(ROOT / "template.yaml") as deployment:
        manifest = uploaded(deployment, given.objects)
        planned = deployment.plan(manifest)
        print(f"{planned.plan.world_size} ranks over {planned.plan.channel}")

        run = deployment.submit(manifest)
        status = followed(run)
        print(f"{run.id}: {status.state}, {status.rows_out} of {status.rows_in} rows")
        print(f"results in {run.results(given.out)}, page {run.report(given.out)}")
        print(f"sigma_NMAD {run.metrics()['photo_z']['sigma_nmad']:.4f}")

        for line in run.cost()["lines"]:
            print(f"{line['item']}: {line['formula']} = ${line['usd']:.6f}")
        expected = deployment.plan(manifest, RateSource(like=run.id)).expected
        if expected is not None:
            print(f"the same again on AWS: about {expected.wall_s:.0f} s, ${expected.usd:.6f}")
        for listed in deployment.runs():
            print(listed.run, listed.state, listed.rows_out)


if __name__ == "__main__":
    main()
