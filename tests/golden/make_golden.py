#!/usr/bin/env python3
"""Writes golden.h5: forward and backward of a small ESM-2 masked language model, computed by PyTorch.

An oracle that shares no code with plmscale. Everything is computed in float64 from weights that are exact in float32,
and stored as float32. Run it by hand (needs torch and h5py); the result is committed, tests only read it.

    make_golden.py [golden.h5]

Layout of golden.h5 (row-major, little-endian; T tokens, S sequences, M selected rows, D width, V vocabulary):

    attributes of /   format ("plmscale-golden"), format_version (1): as plm_h5_open wants them
                      layers, width, heads, ffn, vocabulary, seed (int64), layer_norm_epsilon, mask_rate (0.15),
                      mask_token (0.8) (float64), torch (text)
    batch/tokens      int32  [T]     ids after masking, sequences end to end, each <cls> residues <eos>
    batch/truth       int32  [T]     ids before masking
    batch/offsets     int32  [S+1]
    batch/positions   int32  [T]     index in the sequence, <cls> = 0
    batch/scale       float32[T]     token dropout: 0 at <mask>, else (1 - 0.15*0.8)/(1 - masks/length)
    batch/rows        int32  [M]     selected positions, ascending: replaced by <mask>, by a random residue, or kept
    batch/targets     int32  [M]     truth[rows]
    batch/is_mask     float32[M]     1 where the input is <mask>
    weights/NAME      float32        by Hugging Face key (EsmForMaskedLM), Linear weights [out, in]
    grads/NAME        float32        d loss / d weights/NAME, same shapes (the tied embedding has one gradient: the sum)
    out/embedding     float32[T, D]  after token dropout
    out/hidden        float32[T, D]  after the final layer norm
    out/logits        float32[M, V]  at rows
    out/row_loss      float32[M]     cross entropy of each row
    out/loss          float32[1]     its mean over all M rows
    out/loss_mask     float32[1]     its mean over rows with is_mask = 1
"""
import math
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

TOKENS = ("<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - <null_1> <mask>").split()
ID = {token: i for i, token in enumerate(TOKENS)}
LAYERS, WIDTH, HEADS, FFN, EPSILON, SEED = 2, 24, 3, 96, 1e-5, 20240607
MASK_RATE, MASK_TOKEN = 0.15, 0.8

# residues, then index in <cls> residues <eos> -> what is put there ("=": kept)
SEQUENCES = [
    ("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ", {1: "<mask>", 5: "<mask>", 9: "W", 14: "<mask>", 20: "=", 33: "<mask>"}),
    ("GXBAJMC", {3: "<mask>", 7: "L"}),  # X and B are tokens of their own, J is <unk>
    ("MNNRWGTHUZOPLDSE", {2: "=", 6: "<mask>", 15: "<mask>"}),
    ("A", {}),  # the shortest sequence, without a selected row
]


def make_batch():
    tokens, truth, offsets, positions, scale, rows = [], [], [0], [], [], []
    for residues, changes in SEQUENCES:
        ids = [ID["<cls>"]] + [ID.get(r, ID["<unk>"]) for r in residues] + [ID["<eos>"]]
        seen = [ids[i] if changes.get(i, "=") == "=" else ID[changes[i]] for i in range(len(ids))]
        masked = seen.count(ID["<mask>"]) / len(ids)
        rows += [len(tokens) + i for i in sorted(changes)]
        scale += [0.0 if t == ID["<mask>"] else (1 - MASK_RATE * MASK_TOKEN) / (1 - masked) for t in seen]
        truth += ids
        tokens += seen
        positions += range(len(ids))
        offsets.append(len(tokens))
    targets = [truth[r] for r in rows]
    is_mask = [float(tokens[r] == ID["<mask>"]) for r in rows]
    return dict(tokens=tokens, truth=truth, offsets=offsets, positions=positions, scale=scale, rows=rows,
                targets=targets, is_mask=is_mask)


def make_weights():
    """Larger than at the start of training, so that attention is far from uniform and no gradient vanishes."""
    generator = torch.Generator().manual_seed(SEED)

    def normal(shape, scale, mean=0.0):
        return (mean + scale * torch.randn(shape, generator=generator)).double()

    def linear(weights, name, n_out, n_in):
        weights[name + ".weight"] = normal((n_out, n_in), 1.2 / math.sqrt(n_in))
        weights[name + ".bias"] = normal((n_out,), 0.2)

    def norm(weights, name):
        weights[name + ".weight"] = normal((WIDTH,), 0.2, 1.0)
        weights[name + ".bias"] = normal((WIDTH,), 0.2)

    w = {"esm.embeddings.word_embeddings.weight": normal((len(TOKENS), WIDTH), 0.5)}
    for i in range(LAYERS):
        layer = f"esm.encoder.layer.{i}."
        norm(w, layer + "attention.LayerNorm")
        for part in ("query", "key", "value"):
            linear(w, layer + "attention.self." + part, WIDTH, WIDTH)
        linear(w, layer + "attention.output.dense", WIDTH, WIDTH)
        norm(w, layer + "LayerNorm")
        linear(w, layer + "intermediate.dense", FFN, WIDTH)
        linear(w, layer + "output.dense", WIDTH, FFN)
    norm(w, "esm.encoder.emb_layer_norm_after")
    linear(w, "lm_head.dense", WIDTH, WIDTH)
    norm(w, "lm_head.layer_norm")
    w["lm_head.bias"] = normal((len(TOKENS),), 0.2)
    return {name: value.float().double().requires_grad_() for name, value in w.items()}


def layer_norm(x, w, name):
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + EPSILON) * w[name + ".weight"] + w[name + ".bias"]


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def rotate_half(x):
    first, second = x.chunk(2, -1)
    return torch.cat((-second, first), -1)


def attention(x, w, layer):
    """x: one sequence [n, D]."""
    n, size = x.shape[0], WIDTH // HEADS
    q, k, v = (linear(x, w, layer + "attention.self." + part).view(n, HEADS, size).transpose(0, 1)
               for part in ("query", "key", "value"))
    q = q * size**-0.5  # before the rotation, as ESM-2 does
    frequency = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angle = torch.outer(torch.arange(n, dtype=torch.float64), frequency)
    angle = torch.cat((angle, angle), -1)
    q, k = (y * angle.cos() + rotate_half(y) * angle.sin() for y in (q, k))
    mixed = torch.softmax(q @ k.transpose(1, 2), -1) @ v
    return linear(mixed.transpose(0, 1).reshape(n, WIDTH), w, layer + "attention.output.dense")


def forward(w, batch):
    table = w["esm.embeddings.word_embeddings.weight"]
    embedding = table[torch.tensor(batch["tokens"])] * torch.tensor(batch["scale"], dtype=torch.float32).double()[:, None]
    hidden = []
    for first, last in zip(batch["offsets"], batch["offsets"][1:]):
        x = embedding[first:last]
        for i in range(LAYERS):
            layer = f"esm.encoder.layer.{i}."
            x = x + attention(layer_norm(x, w, layer + "attention.LayerNorm"), w, layer)
            y = gelu(linear(layer_norm(x, w, layer + "LayerNorm"), w, layer + "intermediate.dense"))
            x = x + linear(y, w, layer + "output.dense")
        hidden.append(layer_norm(x, w, "esm.encoder.emb_layer_norm_after"))
    hidden = torch.cat(hidden)
    y = layer_norm(gelu(linear(hidden[batch["rows"]], w, "lm_head.dense")), w, "lm_head.layer_norm")
    logits = y @ table.T + w["lm_head.bias"]
    row_loss = F.cross_entropy(logits, torch.tensor(batch["targets"]), reduction="none")
    return dict(embedding=embedding, hidden=hidden, logits=logits, row_loss=row_loss)


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "golden.h5"
    batch, weights = make_batch(), make_weights()
    out = forward(weights, batch)
    out["loss"] = out["row_loss"].mean().reshape(1)
    out["loss_mask"] = out["row_loss"][torch.tensor(batch["is_mask"]) > 0].mean().reshape(1)
    out["loss"].sum().backward()
    with h5py.File(path, "w") as f:
        f.attrs.update(dict(
            format=np.bytes_("plmscale-golden"), format_version=np.int64(1), layers=LAYERS, width=WIDTH, heads=HEADS,
            ffn=FFN, vocabulary=len(TOKENS), seed=SEED, layer_norm_epsilon=EPSILON, mask_rate=MASK_RATE,
            mask_token=MASK_TOKEN, torch=np.bytes_(str(torch.__version__))))
        for name, values in batch.items():
            f["batch/" + name] = np.array(values, "<f4" if name in ("scale", "is_mask") else "<i4")
        for name, value in weights.items():
            f["weights/" + name] = value.detach().numpy().astype("<f4")
            f["grads/" + name] = value.grad.numpy().astype("<f4")
        for name, value in out.items():
            f["out/" + name] = value.detach().numpy().astype("<f4")
    print(f"{path}: {len(batch['tokens'])} tokens, {len(batch['rows'])} rows, loss {out['loss'].item():.9f}, "
          f"on <mask> {out['loss_mask'].item():.9f}, {sum(w.numel() for w in weights.values())} weights")


if __name__ == "__main__":
    main()
