"""The peer's side of `compare.py`: the same work in torch, from the same files.

    torch_peer.py ACTION WORK DIR [--steps N] [--seed S]

DIR is what `peer export WORK DIR` filled. Prints one line of JSON.
"""

import argparse
import copy
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import torch_gpt
from harness import peak
from torch_models import build, load_arrays, load_work

WARM_UP_STEPS = 10
"""Training steps taken and thrown away before the clock starts."""
WARM_UP_SECONDS, WATCH_SECONDS = 0.2, 1.0
"""How long answering is run to warm up, and then watched."""
CHUNK = 1024
"""Answers scored at once, so that scoring does not set the peak of memory."""


def adamw(model: nn.Module, work: dict) -> torch.optim.Optimizer:
    """The works' rule: torch's fused form, or its usual one where the caller says so."""
    rates = {"lr": work["lr"], "weight_decay": work["weight_decay"]}
    fused = os.environ.get("RETORT_PEERS_ADAMW", "fused") == "fused"
    return torch.optim.AdamW(model.parameters(), betas=(0.9, 0.999), eps=1e-8, fused=fused, **rates)


def array(path: Path) -> Tensor:
    """An exported array."""
    return torch.from_numpy(np.load(path))


class Lesson:
    """Rows, targets and network of a training work, text or not."""

    def __init__(self, work: dict, folder: Path):
        weights = load_arrays(folder / "weights")
        if work["arch"]["kind"] == "gpt":
            tokens = array(folder / "tokens.npy")
            self.inputs, self.targets = tokens[:, :-1], tokens[:, 1:]
            self.model: nn.Module = torch_gpt.Gpt(work["arch"], weights)
        else:
            self.inputs, self.targets = array(folder / "inputs.npy"), array(folder / "labels.npy")
            self.model = build(work, weights)

    def loss(self, model: nn.Module, rows: Tensor | slice) -> Tensor:
        """Mean cross-entropy of these rows."""
        logits = model(self.inputs[rows])
        return F.cross_entropy(logits.flatten(0, -2), self.targets[rows].flatten())

    @torch.inference_mode()
    def score(self) -> tuple[float, float]:
        """Mean loss and share of right answers over all rows."""
        loss, right, n = 0.0, 0, len(self.inputs)
        rows = max(1, CHUNK * n // self.targets.numel())
        for start in range(0, n, rows):
            targets = self.targets[start : start + rows].flatten()
            logits = self.model(self.inputs[start : start + rows]).flatten(0, -2)
            loss += F.cross_entropy(logits.double(), targets, reduction="sum").item()
            right += int((logits.argmax(-1) == targets).sum())
        return loss / self.targets.numel(), right / self.targets.numel()


def run_steps(lesson: Lesson, model: nn.Module, order: Tensor, work: dict) -> float:
    """One step per row of `order`; gives the seconds of the loop."""
    optimizer = adamw(model, work)
    start = time.perf_counter()
    for rows in order:
        optimizer.zero_grad()
        lesson.loss(model, rows).backward()
        optimizer.step()
    return time.perf_counter() - start


def train(work: dict, folder: Path, steps: int | None, _seed: int) -> dict:
    """Training in the exported order from the exported weights."""
    lesson = Lesson(work, folder)
    order = array(folder / "order.npy")[:steps]
    run_steps(lesson, copy.deepcopy(lesson.model), order[:WARM_UP_STEPS], work)
    seconds = run_steps(lesson, lesson.model, order, work)
    loss, accuracy = lesson.score()
    return {"rate": order.numel() / seconds, "loss": loss, "accuracy": accuracy, "seconds": seconds}


def watch(call: Callable[[int], object], least: float) -> tuple[int, float]:
    """Calls for at least this many seconds; gives the number of calls and the seconds."""
    start, calls = time.perf_counter(), 0
    while calls % 16 != 0 or time.perf_counter() - start < least:
        call(calls)
        calls += 1
    return calls, time.perf_counter() - start


@torch.inference_mode()
def infer(work: dict, folder: Path, _steps: int | None, _seed: int) -> dict:
    """Probabilities at the work's batch, checked against those that the other side wrote."""
    model = build(work, load_arrays(folder / "weights"))
    model.eval()
    inputs = array(folder / "inputs.npy")
    batches = inputs.split(work["batch"])

    def call(i: int) -> Tensor:
        return model(batches[i % len(batches)]).softmax(-1)

    watch(call, WARM_UP_SECONDS)
    calls, seconds = watch(call, WATCH_SECONDS)
    theirs = array(folder / "probs.npy")
    gap = (model(inputs).softmax(-1) - theirs).abs().max().item()
    return {"rate": calls * work["batch"] / seconds, "seconds": seconds, "difference": gap}


def decode(work: dict, folder: Path, _steps: int | None, _seed: int) -> dict:
    """Greedy text after the exported prompts, checked against what the other side wrote."""
    model = torch_gpt.Gpt(work["arch"], load_arrays(folder / "weights"))
    prompts = array(folder / "prompts.npy")[: work["batch"]]
    count = work["arch"]["context"] - prompts.shape[1]
    torch_gpt.decode(model, prompts, count)
    start, made = time.perf_counter(), 0
    while made == 0 or time.perf_counter() - start < WATCH_SECONDS:
        tokens = torch_gpt.decode(model, prompts, count)
        made += tokens.numel()
    seconds = time.perf_counter() - start
    same = (tokens == array(folder / "decoded.npy")).double().mean().item()
    return {"rate": made / seconds, "seconds": seconds, "agreement": same}


def knockoff(work: dict, folder: Path, steps: int | None, seed: int) -> dict:
    """Extraction by ART; it is imported here because importing it costs seconds."""
    import art_knockoff

    return art_knockoff.extract(work, folder, adamw, seed)


def main() -> None:
    """Runs what the command line asks for."""
    actions = {"train": train, "infer": infer, "decode": decode, "knockoff": knockoff}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=actions)
    parser.add_argument("work")
    parser.add_argument("dir", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    report = actions[args.action](load_work(args.dir), args.dir, args.steps, args.seed)
    print(json.dumps(report | {"peak_mb": peak()}))


if __name__ == "__main__":
    main()
