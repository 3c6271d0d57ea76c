"""Data, model and manifest to a deployment, and the results back.

    python examples/submit_to_aws.py data/ model.safetensors --stack cosmic --region eu-central-1

In a notebook, the lines of `submit` are all there is to it. With `--local`, the run goes to the
stack that `cosmic local up` started.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cosmic import CosmicError, Deployment, Run


def submit(deployment: Deployment, data: Path, model: Path, job: str) -> Run:
    """Upload partitions and a model, and start a run over them."""
    partitions = sorted(data.glob("*.safetensors"), key=lambda path: int(path.stem))
    return deployment.submit(
        {
            "version": 1,
            "job": job,
            "model": {"uri": deployment.upload(model, f"models/{model.name}")},
            "data": {
                "partitions": [
                    deployment.upload(path, f"data/{job}/{path.name}") for path in partitions
                ]
            },
        }
    )


def main() -> None:
    """Submit, wait, copy the results here."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder of partitions, as `cosmic data pack` makes")
    parser.add_argument("model", type=Path, help="checkpoint")
    parser.add_argument("--job", default="mine", help="the job's name")
    parser.add_argument("--stack", default="cosmic", help="name of the stack in AWS")
    parser.add_argument("--profile", help="AWS profile")
    parser.add_argument("--region", help="AWS region")
    parser.add_argument("--local", type=Path, metavar="FOLDER", help="folder of a local stack")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder to write to")
    given = parser.parse_args()
    try:
        deployment = (
            Deployment.local(given.local)
            if given.local
            else Deployment.on_aws(given.stack, given.profile, given.region)
        )
        run = submit(deployment, given.data, given.model, given.job)
        print(run.id)
        status = run.wait(lambda seen: print(seen.progress.phase))
        print(f"{status.state}: {run.results(given.out)}")
    except CosmicError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
