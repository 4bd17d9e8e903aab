"""The peer's side of `compare.py` where that is llama.cpp: greedy text of the exported byte GPT.

    llama_peer.py decode WORK DIR [--cache f32|f16]

DIR is what `peer export WORK DIR` filled, with the tokens that our side wrote. Prints one line of JSON.
llama.cpp is the one in the wheel of xllamacpp. Its C interface is called straight, without that
package's server: the prompts are one `llama_decode`, then each is one token of every text.
"""

import argparse
import ctypes
import importlib.metadata
import importlib.util
import json
import math
import subprocess
import sys
import time
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int8, c_int32, c_size_t, c_uint32, c_void_p
from pathlib import Path

import numpy as np

from harness import HERE, peak

VERSION = "2026.10.11549"
"""Of xllamacpp: the structures below are those of its llama.cpp, b11549."""
WATCH_SECONDS = 1.0
CACHES = {"f32": (0, 0), "f16": (1, 1)}
"""llama.cpp's number of the type of keys and values, and whether flash attention is on: it was
measured to be faster with f16, which is llama.cpp's own choice, and slower with f32."""


class ModelParams(ctypes.Structure):
    """`llama_model_params`."""

    _fields_ = [
        ("devices", c_void_p), ("tensor_buft_overrides", c_void_p),
        ("n_gpu_layers", c_int32), ("split_mode", c_int32), ("load_mode", c_int32),
        ("lazy_mode", c_int32), ("main_gpu", c_int32),
        ("tensor_split", c_void_p), ("progress_callback", c_void_p),
        ("progress_callback_user_data", c_void_p), ("kv_overrides", c_void_p),
        ("vocab_only", c_bool), ("check_tensors", c_bool), ("use_extra_bufts", c_bool),
        ("no_host", c_bool), ("no_alloc", c_bool), ("load_mtp", c_bool),
    ]  # fmt: skip


class ContextParams(ctypes.Structure):
    """`llama_context_params`."""

    _fields_ = [
        ("n_ctx", c_uint32), ("n_batch", c_uint32), ("n_ubatch", c_uint32),
        ("n_seq_max", c_uint32), ("n_rs_seq", c_uint32), ("n_outputs_max", c_uint32),
        ("n_outputs_max_per_seq", c_uint32), ("n_threads", c_int32), ("n_threads_batch", c_int32),
        ("ctx_type", c_int32), ("rope_scaling_type", c_int32), ("pooling_type", c_int32),
        ("attention_type", c_int32), ("flash_attn_type", c_int32),
        ("rope_freq_base", c_float), ("rope_freq_scale", c_float), ("yarn_ext_factor", c_float),
        ("yarn_attn_factor", c_float), ("yarn_beta_fast", c_float), ("yarn_beta_slow", c_float),
        ("yarn_orig_ctx", c_uint32), ("defrag_thold", c_float),
        ("cb_eval", c_void_p), ("cb_eval_user_data", c_void_p),
        ("type_k", c_int32), ("type_v", c_int32), ("moe_cache_size", c_size_t),
        ("abort_callback", c_void_p), ("abort_callback_data", c_void_p),
        ("embeddings", c_bool), ("offload_kqv", c_bool), ("no_perf", c_bool),
        ("op_offload", c_bool), ("swa_full", c_bool), ("kv_unified", c_bool),
        ("samplers", c_void_p), ("n_samplers", c_size_t), ("ctx_other", c_void_p),
    ]  # fmt: skip


class Batch(ctypes.Structure):
    """`llama_batch`: tokens with their places, texts and whether logits are wanted."""

    _fields_ = [
        ("n_tokens", c_int32), ("token", POINTER(c_int32)), ("embd", c_void_p),
        ("pos", POINTER(c_int32)), ("n_seq_id", POINTER(c_int32)),
        ("seq_id", POINTER(POINTER(c_int32))), ("logits", POINTER(c_int8)),
    ]  # fmt: skip


LOG = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)
SILENT = LOG(lambda *_: None)
"""Takes llama.cpp's messages; it must live as long as the library."""


def library() -> ctypes.CDLL:
    """The library in the wheel, with the types of the calls that are made here."""
    for name in ("xllamacpp", "gguf"):
        if importlib.util.find_spec(name) is None:
            raise SystemExit(f"no {name} in the environment; requirements-llama.txt names it")
    version = importlib.metadata.version("xllamacpp")
    if version != VERSION:
        raise SystemExit(f"xllamacpp is {version}, not {VERSION}")
    folder = Path(importlib.util.find_spec("xllamacpp").origin).parent
    lib = ctypes.CDLL(str(next(folder.glob("xllamacpp*.so"))))
    for name, result, *given in [
        ("llama_log_set", None, LOG, c_void_p),
        ("llama_model_default_params", ModelParams),
        ("llama_context_default_params", ContextParams),
        ("llama_model_load_from_file", c_void_p, c_char_p, ModelParams),
        ("llama_init_from_model", c_void_p, c_void_p, ContextParams),
        ("llama_get_memory", c_void_p, c_void_p),
        ("llama_memory_clear", None, c_void_p, c_bool),
        ("llama_batch_init", Batch, c_int32, c_int32, c_int32),
        ("llama_decode", c_int32, c_void_p, Batch),
        ("llama_get_logits", c_void_p, c_void_p),
    ]:
        call = getattr(lib, name)
        call.restype, call.argtypes = result, given
    lib.llama_log_set(SILENT, None)
    return lib


class Texts:
    """A model with room for the keys and values of so many texts."""

    def __init__(self, lib: ctypes.CDLL, file: Path, arch: dict, shape: tuple[int, int], cache: str):
        texts, prompt = shape
        plan = lib.llama_model_default_params()
        plan.n_gpu_layers = 0
        model = lib.llama_model_load_from_file(bytes(file), plan)
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_seq_max = arch["context"] * texts, texts
        params.n_batch = params.n_ubatch = prompt * texts
        params.n_threads = params.n_threads_batch = 1
        kind, params.flash_attn_type = CACHES[cache]
        params.type_k = params.type_v = kind
        params.offload_kqv = params.op_offload = False
        context = model and lib.llama_init_from_model(model, params)
        if not context:
            raise SystemExit("llama.cpp refuses the model")
        self.lib, self.memory = lib, lib.llama_get_memory(context)
        logits = texts, arch["vocabulary"]
        self.first, self.later = (Step(lib, context, logits, length) for length in (prompt, 1))

    def decode(self, prompts: np.ndarray, count: int) -> np.ndarray:
        """The `count` most likely tokens after each prompt `[texts, length]`, one after another."""
        self.lib.llama_memory_clear(self.memory, False)
        start, tokens = prompts.shape[1], [self.first.after(prompts, 0)]
        for place in range(start, start + count - 1):
            tokens.append(self.later.after(tokens[-1][:, None], place))
        return np.stack(tokens, 1)


class Step:
    """`length` more tokens of each text. What does not change from step to step is filled in once."""

    def __init__(self, lib: ctypes.CDLL, context: int, logits: tuple[int, int], length: int):
        self.lib, self.context, self.logits, self.seconds = lib, context, logits, 0.0
        texts, self.times = logits[0], np.arange(length)
        self.batch = batch = lib.llama_batch_init(texts * length, 0, 1)
        batch.n_tokens = texts * length

        def view(field) -> np.ndarray:
            return np.ctypeslib.as_array(field, (texts, length))

        self.tokens, self.places = view(batch.token), view(batch.pos)
        view(batch.n_seq_id)[:] = 1
        view(batch.logits)[:] = self.times == length - 1
        for i in range(texts * length):
            batch.seq_id[i][0] = i // length

    def after(self, tokens: np.ndarray, start: int) -> np.ndarray:
        """Most likely token after these `[texts, length]`, the first of them at place `start`."""
        self.tokens[:], self.places[:] = tokens, start + self.times
        began = time.perf_counter()
        failed = self.lib.llama_decode(self.context, self.batch)
        self.seconds += time.perf_counter() - began
        if failed:
            raise SystemExit("llama_decode failed")
        place = self.lib.llama_get_logits(self.context)
        logits = (c_float * math.prod(self.logits)).from_address(place)
        return np.frombuffer(logits, np.float32).reshape(self.logits).argmax(1)


def decode(folder: Path, cache: str) -> dict:
    """Greedy text after the exported prompts, checked against what the other side wrote."""
    work = json.loads((folder / "work.json").read_text())
    lib, file = library(), folder / "model.gguf"
    if not file.exists():  # by a process of its own, for it is no part of the peak of this one
        done = subprocess.run([sys.executable, str(HERE / "llama_gguf.py"), str(folder)])
        if done.returncode != 0:
            raise SystemExit(done.returncode)
    prompts = np.load(folder / "prompts.npy")
    texts = Texts(lib, file, work["arch"], prompts.shape, cache)
    count = work["arch"]["context"] - prompts.shape[1]
    texts.decode(prompts, count)
    texts.first.seconds = texts.later.seconds = 0.0
    start, made = time.perf_counter(), 0
    while made == 0 or time.perf_counter() - start < WATCH_SECONDS:
        tokens = texts.decode(prompts, count)
        made += tokens.size
    seconds = time.perf_counter() - start
    same = float((tokens == np.load(folder / "decoded.npy")).mean())
    inside = (texts.first.seconds + texts.later.seconds) / seconds
    return {"rate": made / seconds, "seconds": seconds, "agreement": same, "inside": inside}


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["decode"])
    parser.add_argument("work")
    parser.add_argument("dir", type=Path)
    parser.add_argument("--cache", choices=CACHES, default="f32", help="keys and values")
    args = parser.parse_args()
    print(json.dumps(decode(args.dir, args.cache) | {"peak_mb": peak()}))


if __name__ == "__main__":
    main()
