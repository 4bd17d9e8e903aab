"""Writes an exported byte GPT as a GGUF file that llama.cpp reads.

    llama_gguf.py DIR        # DIR is what `peer export decode-N DIR` filled; gives DIR/model.gguf

The architecture is `gptneox` with blocks one after another: layer norm with bias, rotary positions
(element i turns with i + half), GELU in its tanh form, an output layer of its own. Weights stay f32 and
are turned from [inputs, outputs] to [outputs, inputs]. There is no tokenizer: tokens are given by number.
"""

import json
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

BLOCK = {
    "attn_norm": "attention.norm",
    "attn_qkv": "attention.in",
    "attn_output": "attention.out",
    "ffn_norm": "forward.norm",
    "ffn_up": "forward.in",
    "ffn_down": "forward.out",
}
"""llama.cpp's name of a part of a block, and ours."""


def tensors(arch: dict, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights under llama.cpp's names."""
    made = {"token_embd.weight": arrays["embed.weight"]}
    for i in range(arch["layers"]):
        for theirs, ours in BLOCK.items():
            made[f"blk.{i}.{theirs}.weight"] = arrays[f"block{i + 1}.{ours}.weight"].T
            made[f"blk.{i}.{theirs}.bias"] = arrays[f"block{i + 1}.{ours}.bias"]
    return made | output(arrays)


def output(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The last norm and the output layer, whose bias `gptneox` does not have.

    Before gain and bias a normed position x sums to 0. So with gain 1 and bias 1, which turn it into
    x + 1, any u may be added to every column of the output weights W: (W + u 1') (x + 1) is
    W x + W 1 + width u. The u that makes the constant part right is solved for.
    """
    names = ("norm.weight", "norm.bias", "output.weight", "output.bias")
    gain, shift, weight, bias = (arrays[name].astype(np.float64) for name in names)
    width = len(gain)
    turned = weight.T * gain
    u = (weight.T @ shift + bias - turned.sum(1)) / width
    return {
        "output_norm.weight": np.ones(width),
        "output_norm.bias": np.ones(width),
        "output.weight": turned + u[:, None],
    }


def main() -> None:
    """Reads the folder's weights and writes the file."""
    folder = Path(sys.argv[1])
    arch = json.loads((folder / "work.json").read_text())["arch"]
    kind = (arch["norm"], arch["positions"], arch["bend"])
    if kind != ("layer", "rotary", "gelu"):
        raise SystemExit(f"gptneox has no such model: {kind}")
    arrays = {path.stem: np.load(path) for path in (folder / "weights").glob("*.npy")}
    writer = GGUFWriter(folder / "model.gguf", "gptneox")
    writer.add_context_length(arch["context"])
    writer.add_embedding_length(arch["width"])
    writer.add_block_count(arch["layers"])
    writer.add_feed_forward_length(4 * arch["width"])
    writer.add_rope_dimension_count(arch["width"] // arch["heads"])
    writer.add_rope_freq_base(10000.0)
    writer.add_head_count(arch["heads"])
    writer.add_parallel_residual(False)
    writer.add_layer_norm_eps(1e-5)
    writer.add_vocab_size(arch["vocabulary"])
    writer.add_tokenizer_model("none")
    for name, values in tensors(arch, arrays).items():
        writer.add_tensor(name, np.ascontiguousarray(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
