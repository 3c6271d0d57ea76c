"""One cold rank over 64 rows, in the work tree that is the working directory: prints JSON.

    python -c "$(cat one.py)" MODEL downloaded|baked

What a process needs from its start until the record is written: processor time, and how old it was
when it had its redshifts. A baked model lies in the function's image. Modules are those that an
earlier commit has, too.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.start.__main__ import BATCH_SIZE, SETTINGS
from bench.stream.__main__ import FAST, LATENCY_MS
from bench.stream.inputs import fill, write_rows
from bench.stream.stage import BUCKET, plan_for, serving

NAME = f"{BATCH_SIZE}.safetensors"
model, place = sys.argv[1:]

with TemporaryDirectory() as scratch:
    fill(Path(scratch), [], "safetensors")
    image = Path(scratch) / "image"
    (image / "model").mkdir(parents=True)
    if place == "baked":
        shutil.copy(Path(scratch) / BUCKET / model, image / "model/m.safetensors")
    write_rows(Path(scratch) / BUCKET / NAME, BATCH_SIZE, "safetensors")
    with serving(Path(scratch), FAST, LATENCY_MS) as environment:
        os.environ.update(environment | SETTINGS | {"LAMBDA_TASK_ROOT": str(image)})
        run = plan_for(NAME, model, BATCH_SIZE)[1].run
        command = [sys.executable, "-m", "bench.start.child", "infer", run]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            steps = json.loads(child.stdout.read().splitlines()[-1])
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            assert child.returncode == 0
        age_s = next(one["age_s"] for one in steps if one["step"].startswith("first 64"))
        spent_s = used.ru_utime + used.ru_stime
        print(json.dumps({"cpu_s": spent_s, "age_s": age_s}))
