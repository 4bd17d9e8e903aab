"""The two programs: how they are made ready and how one run of either is measured.

Standard library only; torch lives in a virtual environment that the peer's own interpreter uses.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "RAYON", "CANDLE")
}
LLAMA = "requirements-llama.txt"
"""Left out where there are no such wheels; the rows that need them then say so."""
INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")


class Unable(Exception):
    """A work cannot run, or its two sides cannot be compared; the text says why."""


@dataclass
class Measured:
    """One run of one program."""

    report: dict
    """What it printed."""
    wall: float
    """Seconds from start to end of the process."""
    peak_mb: float
    """Most memory it held."""


def say(text: str) -> None:
    """Progress goes to stderr: stdout carries the table."""
    print(text, file=sys.stderr, flush=True)


def python() -> str:
    """The interpreter of the peers' environment, made on first use."""
    ready = os.environ.get("RETORT_PEERS_VENV")
    folder = Path(ready) if ready else HERE / ".venv"
    program = folder / "bin" / "python"
    if ready and not program.exists():
        raise Unable(f"RETORT_PEERS_VENV: no {program}")
    if not ready and not complete(program):
        say(f"installing torch, ART and llama.cpp into {folder} (once, some minutes)")
        venv.create(folder, with_pip=True)
        wanted = ["install", "--quiet", "-r", str(HERE / "requirements.txt")]
        subprocess.run([program, "-m", "pip", *wanted], check=True, stdout=sys.stderr)
        wanted = ["install", "--quiet", "--only-binary=:all:", "-r", str(HERE / LLAMA)]
        subprocess.run([program, "-m", "pip", *wanted], stdout=sys.stderr)
    return str(program)


def complete(program: Path) -> bool:
    """True for an interpreter that finds every library, not one whose set-up was interrupted."""
    find = "import importlib.util as u; assert all(map(u.find_spec, ('torch', 'numpy', 'art')))"
    command = [program, "-c", find]
    return program.exists() and subprocess.run(command, capture_output=True).returncode == 0


def build() -> str:
    """Builds our side; gives the program's path, wherever cargo puts it."""
    say("building the example `peer`")
    command = ["cargo", "build", "--release", "--example", "peer", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit("compare.py: cargo could not build the example `peer`")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    made = [m for m in messages if m.get("target", {}).get("name") == "peer"]
    return next(m["executable"] for m in reversed(made) if m.get("executable"))


def run(command: list[str], env: dict[str, str]) -> Measured:
    """Runs a program to its end on one thread and reads its last line as JSON."""
    env = os.environ | ONE_THREAD | env
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=env, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        lines, complaints = out.read().splitlines(), err.read().splitlines()
    if process.returncode != 0 or not lines:
        raise Unable(complaints[-1] if complaints else f"ended with {process.returncode}")
    report = json.loads(lines[-1])
    return Measured(report, wall, report.get("peak_mb", peak_of(usage)))


def peak_of(usage) -> float:
    """Peak memory in MB as wait4 tells it. On Linux it is never below this script's own size, so
    what a program says of itself goes first."""
    return usage.ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def peak() -> float:
    """This process's peak of memory in MB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        line = next(line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def output(command: list[str]) -> str:
    """What a program prints, or that it is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"{Path(command[0]).name} unknown"


def machine(interpreter: str) -> str:
    """One line: processor, cores, instruction sets, versions, load at the start."""
    names = ("torch", "adversarial-robustness-toolbox", "xllamacpp")
    versions = output([interpreter, "-c", VERSIONS, *names]).splitlines()
    model, flags = processor()
    found = " ".join(name for name in INSTRUCTIONS if name in flags) or "instruction sets unknown"
    rustc = " ".join(output(["rustc", "--version"]).split()[:2])
    load = f"load {os.getloadavg()[0]:.1f}"
    return ", ".join([model, f"{os.cpu_count()} cores", found, *versions, rustc, load])


VERSIONS = """
import importlib.metadata as m, platform, sys
print("Python", platform.python_version())
for name in sys.argv[1:]:
    try: print(name, m.version(name))
    except m.PackageNotFoundError: print(name, "absent")
"""


def processor() -> tuple[str, set[str]]:
    """Name and flags of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine(), set()
    pairs = dict(line.split(":", 1) for line in lines if ":" in line)
    pairs = {key.strip(): value.strip() for key, value in pairs.items()}
    flags = pairs.get("flags", pairs.get("Features", ""))
    return pairs.get("model name", platform.machine()), set(flags.split())
