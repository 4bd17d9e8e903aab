"""A real model beside llama.cpp: the same file, prompt, tokens and threads, in alternating runs.

    smollm2.py FILE.gguf [--runs 5]

Needs `cargo build --release --example llama` and the packages of requirements-llama.txt. Prints medians and ranges of
tokens a second, reading a prompt and writing after it.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "target" / "release" / "examples" / "llama"
PROMPT = " ".join(["The river runs past the old mill, under the stone bridge and on to the sea."] * 14)
NEW = 64
PEER = """
import json, sys, xllamacpp
path, threads, new, prompt = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
p = xllamacpp.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.warmup, p.n_gpu_layers = path, 2048, 1, True, 0
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
ask = {"prompt": prompt, "n_predict": new, "temperature": 0, "cache_prompt": False, "ignore_eos": True}
out = xllamacpp.Server(p).handle_completions(ask)
out = out if isinstance(out, dict) else json.loads(out)
print("FOUND", json.dumps(out["timings"]))
"""


def ours(file: str, threads: int) -> tuple[float, float]:
    """Tokens a second of reading and writing."""
    command = [OURS, file, PROMPT, f"tokens={NEW}", f"threads={threads}", "stop=no"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = re.search(r"read \d+ tokens, ([\d.]+) a second; wrote \d+, ([\d.]+) a second", said)
    return float(found[1]), float(found[2])


def peer(file: str, threads: int) -> tuple[float, float]:
    """The same of llama.cpp."""
    command = [sys.executable, "-c", PEER, file, str(threads), str(NEW), PROMPT]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in said.splitlines() if line.startswith("FOUND"))
    found = json.loads(line.removeprefix("FOUND"))
    return found["prompt_per_second"], found["predicted_per_second"]


def main() -> None:
    """Runs both in turn and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    print("| threads | who | reads, tokens/s | writes, tokens/s |\n|---:|---|---|---|")
    for threads in (1, 2):
        rows = {"retort": [], "llama.cpp": []}
        for _ in range(args.runs):
            rows["retort"].append(ours(args.file, threads))
            rows["llama.cpp"].append(peer(args.file, threads))
        for who, runs in rows.items():
            cells = [
                f"{statistics.median(side):.0f} ({min(side):.0f} to {max(side):.0f})"
                for side in zip(*runs)
            ]
            print(f"| {threads} | {who} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
