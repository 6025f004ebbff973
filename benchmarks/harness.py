"""What every benchmark here shares: one core, fresh processes, and a record of where a figure comes from."""

import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

RESULTS = pathlib.Path(__file__).with_name("results")
ROOT = pathlib.Path(__file__).parents[1]


def measure(script, work, *arguments):
    """Runs `script --work WORK ARGUMENTS...` in a fresh process on one core and returns what it `report`s.

    A process of its own keeps one contestant's memory, threads and caches from the other's figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "report.json")
        environment = os.environ | {"BENCHMARK_REPORT": file, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
        subprocess.run(
            [sys.executable, script, *map(str, ("--work", work, *arguments))], env=environment, check=True, cwd=ROOT
        )
        with open(file) as lines:
            return json.load(lines)


def one_core():
    """Binds this process to one core and TensorFlow to one thread."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def report(**figures):
    """Hands figures to the process that called `measure`."""
    with open(os.environ["BENCHMARK_REPORT"], "w") as file:
        json.dump(figures, file)


def environment():
    """Commit, machine and versions, as a dict."""
    from importlib.metadata import version

    packages = ("tensorflow", "keras", "tensorflow-text", "numpy")
    return {
        "commit": _git("rev-parse", "--short", "HEAD") + ("+changes" if _git("status", "--porcelain") else ""),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
    }


def save(name, command, figures):
    """Writes figures to `results/NAME.json` with machine, versions, commit and command."""
    record = {"command": command} | environment() | {"figures": figures}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"\n{record['machine']}; {record['versions']}; commit {record['commit']}\n{command}")


def _processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _git(*arguments):
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=ROOT, check=False)
    return done.stdout.strip()
