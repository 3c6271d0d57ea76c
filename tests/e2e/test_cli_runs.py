"""The commands about runs, on one local stack, as people and programs use them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from cosmic.client.stack import Stack, of_local
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.status import State, Status, parse_status, utc_now
from cosmic.costs.measured import from_metrics
from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic.storage.objects import Store
from cosmic_local.stack import LocalStack, attach
from interrupt_support.command import interrupted_at

ROOT = Path(__file__).parents[2]
COSMIC = Path(sys.executable).with_name("cosmic")
ROWS = 256
PAYLOAD = {
    "bucket": "models",
    "file_limit": "10",
    "batch_size": 512,
    "object_type": "folder",
    "S3_object_name": "scripts/Anomaly Detection",
    "script": "/tmp/scripts/inference.py",
    "result_path": "result/run 1",
    "data_bucket": "data",
    "data_prefix": "",
}
NOTHING = "AWS::CloudFormation::WaitConditionHandle"


@dataclass
class Lab:
    """A local stack with a model, a data set and one run that has succeeded."""

    folder: Path
    target: Stack
    manifest: Path
    finished: str = ""

    @property
    def store(self) -> Store:
        return self.target.store()

    def __call__(self, *words: str, code: int = 0, **options: Any) -> str:
        """Run a command on the stack; its standard output."""
        done = self.run(*words, "--local", "--state-dir", "state", **options)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COSMIC, *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            **options,
        )

    def freeze_the_ranks(self) -> list[int]:
        """Stop the processes that the next run's ranks will be given, so that it can't end."""
        served = attach(self.folder / "state").invocations("InferFunction")
        alive = {record.pid for record in served if psutil.pid_exists(record.pid)}
        for pid in alive:
            os.kill(pid, signal.SIGSTOP)
        return list(alive)

    def freeze_a_rank(self, timeout_s: float = 60.0) -> int:
        """Wait until a rank runs and stop its process, if it isn't yet; its pid."""
        give_up = time.monotonic() + timeout_s
        while time.monotonic() < give_up:
            for invocation in attach(self.folder / "state").running():
                if '"rank"' in invocation["event"] and invocation["start"]:
                    os.kill(invocation["pid"], signal.SIGSTOP)
                    return int(invocation["pid"])
            time.sleep(0.005)
        raise AssertionError("no rank was seen running")

    def at(self, run: str) -> RunFolder:
        return RunFolder(self.target.bucket, "runs/", run)

    def status(self, run: str) -> Status:
        return parse_status(self.store.get(self.at(run).status))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    write_dataset(folder / "data", Sample("catalog", ROWS), ROWS // 2)
    with LocalStack(ROOT / "template.yaml", folder / "state", rendezvous=True):
        target = of_local(attach(folder / "state"))
        store, bucket = target.store(), target.bucket
        checkpoint = ROOT / "models/tiny/astromae-tiny.safetensors"
        store.upload(checkpoint, Location(bucket, "models/tiny.safetensors"))
        for path in (folder / "data").iterdir():
            store.upload(path, Location(bucket, f"data/{path.name}"))
        document = {
            "version": 1,
            "job": "lab",
            "model": {"uri": f"s3://{bucket}/models/tiny.safetensors"},
            "data": {"uri": f"s3://{bucket}/data/"},
            "inference": {"world_size": 2},
        }
        manifest = folder / "lab.json"
        manifest.write_text(json.dumps(document))
        made = Lab(folder, target, manifest)
        done = made.run("submit", "lab.json", "--wait", "--local", "--state-dir", "state")
        assert done.returncode == 0, done.stderr
        assert f"{ROWS} of {ROWS} rows" in done.stderr
        assert "2 done, 0 failed" in done.stderr
        assert "so far" in done.stderr
        assert "SUCCEEDED" in done.stdout
        (made.finished,) = (
            r["run"] for r in json.loads(made("runs", "--json"))["runs"] if "lab" in r["run"]
        )
        yield made


@pytest.fixture(scope="module")
def aws(lab: Lab) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command as on AWS: by profile, region and stack; the emulator plays AWS."""
    endpoint = attach(lab.folder / "state").endpoint_url
    deploy(lab, "cosmic", lab.target.outputs)
    config = lab.folder / "config"
    config.write_text(
        f"[profile lab]\nendpoint_url = {endpoint}\n"
        "aws_access_key_id = a\naws_secret_access_key = b\n"
    )
    environment = {
        **os.environ,
        "AWS_CONFIG_FILE": str(config),
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        where = ("--profile", "lab", "--region", "us-east-1")
        return lab.run(*words, *where, env=environment, **options)

    return run


def deploy(lab: Lab, name: str, outputs: dict[str, str]) -> None:
    """A stack in CloudFormation with these outputs."""
    template = {
        "Resources": {"Nothing": {"Type": NOTHING}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    cloudformation = lab.target.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))


def test_status_watch_and_runs_say_the_same_as_json(lab: Lab) -> None:
    stored = lab.status(lab.finished).model_dump(mode="json")
    assert json.loads(lab("status", lab.finished, "--json")) == stored
    assert json.loads(lab("watch", lab.finished, "--json")) == stored
    listed = json.loads(lab("runs", "--json"))["runs"]
    (found,) = (run for run in listed if run["run"] == lab.finished)
    assert (found["state"], found["rows_out"], found["world_size"]) == ("SUCCEEDED", ROWS, 2)
    assert lab.finished in lab("runs", "--limit", "1000")


@pytest.mark.parametrize("command", ["status", "watch", "results", "report", "resume", "cancel"])
def test_a_run_that_is_not_there_is_said_in_json_on_stderr(lab: Lab, command: str) -> None:
    words = (command, "none-0123456789ab", "--json", "--local", "--state-dir", "state")
    done = lab.run(*words)
    assert (done.returncode, done.stdout) == (4, "")
    error = json.loads(done.stderr)["error"]
    assert (error["code"], error["exit"]) == ("no-run", 4)


def test_the_same_commands_act_on_aws_by_profile_and_region(lab: Lab, aws: Any) -> None:
    done = aws("status", lab.finished, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows_out"] == ROWS
    plan = aws("plan", "lab.json", "--json")
    assert plan.returncode == 0, plan.stderr
    assert json.loads(plan.stdout)["rows"] == ROWS
    nowhere = aws("status", lab.finished, "--stack", "other")
    assert nowhere.returncode == 4
    assert nowhere.stderr.startswith("no-stack: ")
    doctor = aws("doctor", "--stack", "other", "--json")
    assert doctor.returncode == 1
    assert json.loads(doctor.stdout)["checks"][-1]["detail"].startswith("no-stack")


def test_the_template_for_sam_local_is_named_as_json(lab: Lab) -> None:
    (lab.folder / "built.yaml").write_bytes((ROOT / "template.yaml").read_bytes())
    words = ("local", "sam-template", "--state-dir", "state", "--json", "--built")
    found = json.loads(lab.run(*words, "built.yaml").stdout)
    assert "InferFunction" in json.loads((lab.folder / found["template"]).read_text())["Resources"]
    missing = lab.run(*words, "none.yaml")
    assert (missing.returncode, json.loads(missing.stderr)["error"]["code"]) == (2, "template")


def test_cais_users_get_their_files_as_json_too(lab: Lab) -> None:
    words = ("cai", "combined", lab.finished, "--result-path", "results/25MB/1", "--json")
    found = json.loads(lab(*words))
    assert found["ranks"] == 2
    assert len(json.loads((lab.folder / found["path"]).read_text())) == 2
    assert lab("cai", "combined", "none-0123456789ab", code=4) == ""
    payload = lab.folder / "payload.json"
    payload.write_text(json.dumps(PAYLOAD))
    read = json.loads(lab.run("cai", "manifest", "payload.json", "--json").stdout)
    assert read["manifest"]["data"]["first_listed"] == 10
    assert any("script" in warning for warning in read["warnings"])
    assert lab.run("cai", "manifest", "no-such.json", "--json").returncode == 4


def test_a_manifest_is_tuned_by_what_an_earlier_run_measured(lab: Lab) -> None:
    lab("results", lab.finished, "--into", "for-tune")
    measured = ("--from", f"for-tune/{lab.finished}/metrics.json")
    found = json.loads(lab("tune", "--manifest", "lab.json", *measured, "--json"))
    assert found["job"]["rows"] == ROWS
    assert set(found["modelled"]["recommended"]) == {"fastest", "cheapest", "best_value"}
    refused = lab("tune", "--manifest", "lab.json", "--rows", "5", *measured, code=2)
    assert refused == ""


def test_plots_for_papers_come_from_the_results(lab: Lab) -> None:
    lab("results", lab.finished, "--into", "for-plots")
    words = ("plots", f"for-plots/{lab.finished}", "--into", "figures")
    drawn = [lab.folder / path for path in json.loads(lab.run(*words, "--json").stdout)["plots"]]
    names = {path.stem for path in drawn if path.read_bytes()[:4] == b"%PDF"}
    assert names >= {"density", "residuals", "n-of-z"}
    assert names == {path.stem for path in drawn if path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"}
    shown = lab.run(*words)
    assert shown.stdout.splitlines() == [str(path.relative_to(lab.folder)) for path in drawn]
    missing = lab.run("plots", "nowhere", "--json")
    assert missing.returncode == 4
    assert "cosmic results" in json.loads(missing.stderr)["error"]["hint"]


def test_results_are_copied_and_shown(lab: Lab) -> None:
    found = json.loads(lab("results", lab.finished, "--into", "copied", "--json"))
    assert {f["name"] for f in found["files"]} >= {"catalogue.parquet", "status.json", "plan.json"}
    for file in found["files"]:
        assert (lab.folder / file["path"]).stat().st_size == file["bytes"]
    opened = lab.folder / "opened"
    browser = {**os.environ, "BROWSER": f"sh -c 'echo \"$0\" > {opened}' %s"}
    lab("results", lab.finished, "--into", "copied", "--open", env=browser)
    assert opened.read_text().strip() == (lab.folder / found["folder"]).as_uri()


def test_a_report_is_copied_if_there_is_one(lab: Lab) -> None:
    folder = lab.at("made-0123456789ab")
    outputs = {"report.html": folder.at("report.html").uri}
    made = Status(
        run=folder.run,
        state=State.FAILED,
        manifest="s3://b/m",
        updated_at=utc_now(),
        outputs=outputs,
    )
    lab.store.put(folder.status, made.model_dump_json().encode())
    lab.store.put(folder.at("report.html"), b"<html>")
    found = json.loads(lab("report", folder.run, "--json"))
    assert (lab.folder / found["report"]).read_bytes() == b"<html>"
    without = made.model_copy(update={"outputs": {}})
    lab.store.put(folder.status, without.model_dump_json().encode())
    assert lab("report", folder.run, code=4) == ""
    assert lab("results", folder.run, code=4) == ""


def test_a_plan_says_what_a_manifest_would_do(lab: Lab) -> None:
    plan = json.loads(lab("plan", "lab.json", "--json"))
    assert (plan["ok"], plan["ranks"], plan["rows"]) == (True, 2, ROWS)
    assert plan["bytes"] == sum(
        rank["stop"] * 20 * 32 * 32 + rank["stop"] * 68 for rank in ({"stop": 128}, {"stop": 128})
    )
    assert plan["memory_mb"] < plan["function_mb"]
    assert (plan["expected"], plan["bill"]) == (None, None)
    assert "unknown until this model is measured" in lab("plan", "lab.json")
    (fewer, planned) = plan["alternatives"]["of"][:2]
    assert (fewer["ranks"], planned["ranks"], planned["planned"]) == (1, 2, True)
    assert "with 2 ranks, planned" in lab("plan", "lab.json")
    like = json.loads(lab("plan", "lab.json", "--like", lab.finished, "--json"))
    metrics = json.loads(lab.store.get(lab.at(lab.finished).metrics))
    measured = from_metrics(metrics, f"run {lab.finished}")
    assert like["expected"]["measured"] == measured.model_dump(mode="json")
    assert like["bill"]["usd"] == pytest.approx(sum(x["usd"] for x in like["bill"]["lines"]))
    assert like["counts"] == plan["counts"]
    (lab.folder / "past.json").write_text(json.dumps(metrics))
    past = json.loads(lab("plan", "lab.json", "--from", "past.json", "--json"))
    assert past["bill"] == like["bill"]
    assert f"run {lab.finished}" in lab("plan", "lab.json", "--like", lab.finished)
    assert lab("plan", "lab.json", "--like", "x", code=4) == ""


def test_a_plan_that_is_refused_says_why_as_init_would(lab: Lab) -> None:
    document = json.loads(lab.manifest.read_text())
    document["data"]["expect"] = 7
    (lab.folder / "large.json").write_text(json.dumps(document))
    refused = json.loads(lab("plan", "large.json", "--json", code=2))
    assert {p["code"] for p in refused["problems"]} == {"wrong-partition-count"}
    done = lab.run("plan", "large.json", "--local", "--state-dir", "state")
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "wrong-partition-count",
    ]


def test_a_run_that_may_cost_too_much_is_refused_by_plan_and_by_init(lab: Lab) -> None:
    refused = json.loads(lab("plan", "lab.json", "--max-cost", "0.0001", "--json", code=2))
    (problem,) = refused["problems"]
    assert problem["code"] == "too-expensive"
    rejected = json.loads(
        lab("submit", "lab.json", "--max-cost", "0.0001", "--wait", "--json", code=2)
    )
    assert rejected["state"] == "REJECTED"
    assert rejected["problems"] == [problem]
    most = json.loads(lab("plan", "lab.json", "--json"))["usd_at_most"]
    assert f"${most:.6f}" in problem["message"]
    like = ("--like", lab.finished, "--max-cost", str(most / 10))
    assert json.loads(lab("plan", "lab.json", *like, "--json"))["bill"]["usd"] < most / 10


def test_a_cancelled_run_stops_and_can_be_resumed(lab: Lab) -> None:
    lab.freeze_the_ranks()
    run = json.loads(lab("submit", "lab.json", "--json"))["run"]
    lab.freeze_a_rank()
    shown = json.loads(lab("status", run, "--json"))
    assert (shown["state"], shown["progress"]["ranks"]) == ("RUNNING", 2)
    assert "still-running" in lab.run("resume", run, "--local", "--state-dir", "state").stderr
    cancelled = json.loads(lab("cancel", run, "--json"))
    assert cancelled["status"]["state"] == "FAILED"
    assert cancelled["status"]["rows_out"] < ROWS
    steps = lab.target.client("stepfunctions")
    execution = steps.describe_execution(executionArn=cancelled["execution"])
    assert (execution["status"], execution["cause"]) == ("ABORTED", "cosmic cancel")
    still = {one["function"] for one in attach(lab.folder / "state").running()}
    assert still <= {"cosmic-AggregateFunction"}  # which may be drawing the page
    assert "not-running" in lab.run("cancel", run, "--local", "--state-dir", "state").stderr
    resumed = json.loads(lab("resume", run, "--wait", "--json"))
    assert (resumed["state"], resumed["rows_out"]) == ("SUCCEEDED", ROWS)
    assert resumed["execution"].endswith(f"{run}-r1")
    refused = lab.run("resume", run, "--local", "--state-dir", "state")
    assert (refused.returncode, refused.stderr.partition(":")[0]) == (2, "nothing-missing")


def test_resume_computes_only_what_is_missing(lab: Lab) -> None:
    folder, s3 = lab.at(lab.finished), lab.target.client("s3")
    before = lab.store.get(folder.at("catalogue.parquet"))
    for at in (folder.shard(1, 2), folder.record(1, 2), folder.gathered, folder.collective):
        s3.delete_object(Bucket=at.bucket, Key=at.key)
    failed = lab.status(lab.finished).model_copy(update={"state": State.FAILED})
    lab.store.put(folder.status, failed.model_dump_json().encode())
    resumed = json.loads(lab("resume", lab.finished, "--json"))
    assert resumed["ranks"] == [1]
    assert json.loads(lab("watch", lab.finished, "--json"))["rows_out"] == ROWS
    served = [
        r
        for r in attach(lab.folder / "state").invocations("InferFunction")
        if r.execution == resumed["execution"]
    ]
    assert len(served) == 1
    assert len(lab.store.get(folder.at("catalogue.parquet"))) == pytest.approx(len(before), rel=0.1)


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_cancel_it(lab: Lab) -> None:
    words = [
        str(COSMIC),
        "submit",
        "lab.json",
        "--wait",
        "--json",
        "--local",
        "--state-dir",
        "state",
    ]
    frozen = lab.freeze_the_ranks()
    with subprocess.Popen(
        words, cwd=lab.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as submit:
        assert submit.stderr
        frozen.append(lab.freeze_a_rank())
        for line in submit.stderr:
            if "inferring" in line:
                break
        submit.send_signal(signal.SIGINT)
        out, err = submit.communicate(timeout=30)
    assert (submit.returncode, out) == (130, "")
    error = json.loads(err.splitlines()[-1])["error"]
    (run,) = re.findall(r"lab-[0-9a-f]{12}", error["message"])
    assert error["code"] == "interrupted"
    assert f"cosmic cancel {run} --local --state-dir state" in error["hint"]
    assert lab.status(run).state is State.RUNNING
    for pid in set(frozen):
        os.kill(pid, signal.SIGCONT)
    assert "SUCCEEDED" in lab("watch", run)


HERE = ("--local", "--state-dir", "state")


def test_results_that_are_interrupted_are_whole_or_not_there(lab: Lab) -> None:
    words = ("results", lab.finished, "--into", "some", *HERE)
    interrupted_at("open", "some/.* [wx]", signal.SIGTERM, *words, place=lab.folder)
    for path in (lab.folder / "some" / lab.finished).iterdir():
        assert path.read_bytes() == lab.store.get(lab.at(lab.finished).at(path.name))


def test_a_put_that_is_interrupted_goes_on(lab: Lab) -> None:
    words = ("data", "put", "data", "--name", "broken-off", *HERE)
    interrupted_at("open", r"0\.safetensors rb?$", signal.SIGINT, *words, place=lab.folder)
    at = Location(lab.target.bucket, "data/broken-off/")
    before = {found.key: found.etag for found in lab.store.list(at)}
    assert "broken-off" in lab("data", "put", "data", "--name", "broken-off")
    after = {found.key: found.etag for found in lab.store.list(at)}
    assert before.items() <= after.items()
    assert sum(key.endswith(".safetensors") for key in after) > 0


def test_logs_are_printed_by_function(lab: Lab) -> None:
    words = ("--state-dir", "state")
    assert "START RequestId" in lab.run("local", "logs", "InferFunction", *words).stdout
    logs = json.loads(lab.run("local", "logs", "InitFunction", "--json", *words).stdout)["logs"]
    assert {log["function"] for log in logs} == {"cosmic-init"} or logs[0]["text"]
    assert lab.run("local", "logs", "Nobody", *words).returncode == 4


def test_destroy_asks_for_the_name_and_then_deletes(lab: Lab, aws: Any) -> None:
    s3, bucket = lab.target.client("s3"), "cosmic-gone-data-123456789012"
    of_a_stack = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}}
    template = json.dumps({"Resources": {"DataBucket": of_a_stack}})
    lab.target.client("cloudformation").create_stack(StackName="cosmic-gone", TemplateBody=template)
    s3.put_object(Bucket=bucket, Key="runs/x", Body=b"")
    refused = aws("destroy", "--stack", "cosmic-gone", input="cosmic\n")
    assert refused.returncode == 2
    assert "not-confirmed" in refused.stderr
    done = aws("destroy", "--stack", "cosmic-gone", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"bucket": bucket, "versions_deleted": 1}
    assert bucket not in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    again = aws("destroy", "--stack", "cosmic-gone")
    assert (again.returncode, "nothing to delete" in again.stdout) == (0, True), again.stderr
