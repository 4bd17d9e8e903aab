"""Knockoff Nets by the Adversarial Robustness Toolbox, with the teacher and students of the other side.

With `use_probability`, ART takes whatever the victim puts out for probabilities. A victim that puts
out logits then teaches nonsense without a word, so the victim here ends in a softmax.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from art.attacks.extraction import KnockoffNets
from art.estimators.classification import PyTorchClassifier
from torch import nn

from torch_models import build, load_arrays

EPOCHS = 10
QUERY_BATCH = 256
"""Rows a query; ART's default of 1 would only slow it down."""


def classifier(model: nn.Module, work: dict, optimizer=None) -> PyTorchClassifier:
    """The network as ART wants it."""
    image = work["shape"]["image"]
    return PyTorchClassifier(
        model=model,
        loss=nn.CrossEntropyLoss(),
        input_shape=(image["c"] * image["h"] * image["w"],),
        nb_classes=work["classes"],
        optimizer=optimizer,
        device_type="cpu",
    )


def choices(victim: PyTorchClassifier, rows: np.ndarray) -> np.ndarray:
    """The class each row is given."""
    return victim.predict(rows, batch_size=QUERY_BATCH).argmax(1)


def extract(work: dict, folder: Path, rule: Callable, seed: int) -> dict:
    """One extraction; the clock covers drawing rows, asking and learning.

    ART is handed the rows that the other student draws, and draws all of them in an order of its
    own: both students learn from the same answers.
    """
    np.random.seed(seed)
    torch.manual_seed(seed)
    pool = np.load(folder / "inputs.npy")
    drawn = np.load(folder / "students" / f"{seed}.npy")
    teacher = build(work, load_arrays(folder / "weights"))
    victim = classifier(nn.Sequential(teacher, nn.Softmax(-1)), work)
    student = build(work, load_arrays(folder / "students" / str(seed)))
    thief = classifier(student, work, rule(student, work))

    start = time.perf_counter()
    attack = KnockoffNets(
        classifier=victim,
        batch_size_fit=work["batch"],
        batch_size_query=QUERY_BATCH,
        nb_epochs=EPOCHS,
        nb_stolen=len(drawn),
        sampling_strategy="random",
        use_probability=True,
        verbose=False,
    )
    thief = attack.extract(pool[drawn], thieved_classifier=thief)
    seconds = time.perf_counter() - start

    test = np.load(folder / "test.npy")
    agreement = float((choices(thief, test) == choices(victim, test)).mean())
    return {"rate": len(drawn) / seconds, "agreement": agreement, "seconds": seconds}
