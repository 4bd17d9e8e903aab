"""The byte GPT in torch: pre-norm blocks, causal attention, GELU (tanh form), with a KV cache.

`work.json` has in `arch`: layers, width, heads, context, and optionally norm ("layer" or "rms"),
positions ("rotary" or "learnt"), rotary_base, rotary_pairs ("halves": element i turns with
i + half; "interleaved": 2i with 2i + 1), norm_eps, tied (the head is the embedding). NAMES says how
the exported weights are called; weights are [inputs, outputs], a bias that was not exported is none.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torch_models import linear

NAMES = {
    "embed": "embed",  # .weight [256, width]; .places [context, width] with learnt positions only
    "norm1": "block{}.attention.norm",
    "qkv": "block{}.attention.in",  # [width, 3 width]: queries, keys, values, heads side by side
    "out": "block{}.attention.out",
    "norm2": "block{}.forward.norm",
    "up": "block{}.forward.in",
    "down": "block{}.forward.out",
    "norm": "norm",
    "head": "output",
}


class Norm(nn.Module):
    """LayerNorm or RMSNorm over the width."""

    def __init__(self, kind: str, weight: Tensor, bias: Tensor | None, eps: float):
        super().__init__()
        self.kind, self.eps, self.shape = kind, eps, tuple(weight.shape)
        self.weight = nn.Parameter(weight.clone())
        self.bias = None if bias is None else nn.Parameter(bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "rms":
            return F.rms_norm(x, self.shape, self.weight, self.eps)
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor, pairs: str) -> Tensor:
    """Rotary positions (Su et al. 2021) on [n, heads, time, width of a head]."""
    if pairs == "interleaved":
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


class Block(nn.Module):
    """Attention and a feed-forward part, each added to what came in."""

    def __init__(self, get, i: int, arch: dict):
        super().__init__()
        self.heads = arch["heads"]
        self.pairs = arch.get("rotary_pairs", "halves")
        self.norm1, self.norm2 = get.norm("norm1", i), get.norm("norm2", i)
        self.qkv, self.out = get.linear("qkv", i), get.linear("out", i)
        self.up, self.down = get.linear("up", i), get.linear("down", i)

    def forward(self, x: Tensor, turn, cache: "Cache | None", i: int) -> Tensor:
        n, time, width = x.shape
        heads = self.qkv(self.norm1(x)).view(n, time, 3, self.heads, width // self.heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        if turn is not None:
            q, k = rotate(q, *turn, self.pairs), rotate(k, *turn, self.pairs)
        if cache is not None:
            k, v = cache.add(i, k, v)
        # A single new position may look at all of the cache; several start an empty one.
        y = F.scaled_dot_product_attention(q, k, v, is_causal=time > 1)
        x = x + self.out(y.transpose(1, 2).reshape(n, time, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Cache:
    """Keys and values of every layer, allocated once for the longest text."""

    def __init__(self, arch: dict, n: int):
        width = arch["width"] // arch["heads"]
        shape = (arch["layers"], 2, n, arch["heads"], arch["context"], width)
        self.store, self.length = torch.empty(shape), 0

    def add(self, i: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keeps new keys and values of layer i; gives all of that layer's."""
        end = self.length + k.shape[2]
        keys, values = self.store[i]
        keys[:, :, self.length : end], values[:, :, self.length : end] = k, v
        return keys[:, :, :end], values[:, :, :end]


class Weights:
    """Layers made of the exported weights, by the roles in NAMES."""

    def __init__(self, arch: dict, arrays: dict[str, Tensor]):
        self.arch, self.arrays = arch, arrays

    def values(self, role: str, i: int = 0) -> tuple[Tensor, Tensor | None]:
        name = NAMES[role].format(i + 1)
        return self.arrays[f"{name}.weight"], self.arrays.get(f"{name}.bias")

    def linear(self, role: str, i: int = 0) -> nn.Linear:
        weight, bias = self.values(role, i)
        return linear(weight.T, bias)

    def norm(self, role: str, i: int = 0) -> Norm:
        kind, eps = self.arch.get("norm", "layer"), self.arch.get("norm_eps", 1e-5)
        return Norm(kind, *self.values(role, i), eps)


class Gpt(nn.Module):
    """Tokens [n, time] to logits [n, time, 256]."""

    def __init__(self, arch: dict, arrays: dict[str, Tensor]):
        super().__init__()
        get = Weights(arch, arrays)
        self.arch = arch
        self.embed = nn.Parameter(get.values("embed")[0].clone())
        learnt = arch.get("positions", "rotary") == "learnt"
        self.position = nn.Parameter(arrays["embed.places"].clone()) if learnt else None
        self.blocks = nn.ModuleList(Block(get, i, arch) for i in range(arch["layers"]))
        self.norm = get.norm("norm")
        self.head = None if arch.get("tied", False) else get.linear("head")
        half = arch["width"] // arch["heads"] // 2
        turns = arch.get("rotary_base", 10000.0) ** (-torch.arange(half) / half)
        angles = torch.outer(torch.arange(arch["context"]).float(), turns)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        start = 0 if cache is None else cache.length
        here = slice(start, start + tokens.shape[1])
        x, turn = F.embedding(tokens, self.embed), None
        if self.position is None:
            turn = self.cos[here], self.sin[here]
        else:
            x = x + self.position[here]
        for i, block in enumerate(self.blocks):
            x = block(x, turn, cache, i)
        if cache is not None:
            cache.length = here.stop
            x = x[:, -1:]  # decoding asks for the last position only
        x = self.norm(x)
        return F.linear(x, self.embed) if self.head is None else self.head(x)


@torch.inference_mode()
def decode(model: Gpt, prompts: Tensor, count: int) -> Tensor:
    """The `count` most likely tokens after each prompt [n, time], one after another."""
    cache = Cache(model.arch, prompts.shape[0])
    given, tokens = prompts, []
    for _ in range(count):
        given = model(given, cache)[:, -1].argmax(-1, keepdim=True)
        tokens.append(given)
    return torch.cat(tokens, 1)
