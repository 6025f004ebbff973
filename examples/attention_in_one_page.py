"""Attention in one page: three layers, the same few lines.

Run it: `python examples/attention_in_one_page.py`. It takes seconds and prints
what each layer attends to in a source of four vectors, the last one padding.
"""

import numpy as np
from keras import ops

from keras_attention import Attention, AttentionRNN, BahdanauAttention, LuongAttention, LuongCell, causal_mask


def main():
    # A source of three tokens and one position of padding; two queries that resemble the first and the third token.
    value = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1], [9, 9, 9]]], "float32")
    value_mask = np.array([[True, True, True, False]])
    query = np.array([[[4, 0, 0], [0, 0, 4]]], "float32")

    # 1. A layer call gives the context and the weights. Padding gets exactly zero.
    context, weights = Attention("dot")(query, value, value_mask=value_mask)
    show("dot product, masked", weights)
    assert ops.shape(context) == (1, 2, 3)

    # 2. A decoder asks many times: prepare the source once, read it at each step. The weights are the same.
    attention = LuongAttention("general")
    attention.build(query.shape, value.shape)
    memory = attention.prepare(value, value_mask=value_mask)
    steps = [attention.read(query[:, step : step + 1], memory).weights for step in range(2)]
    show("general, step by step", ops.concatenate(steps, axis=1))

    # 3. Self-attention sees what came before: the mask is a tensor like any other.
    tokens = value[:, :3]
    show("causal self-attention", BahdanauAttention(8)(tokens, tokens, attention_mask=causal_mask(3)[None]).weights)

    # 4. A recurrent decoder with attention inside, over a target of five steps.
    target = np.random.default_rng(0).normal(size=(1, 5, 2)).astype("float32")
    output = AttentionRNN(LuongCell(6))(target, value, value_mask=value_mask)
    show("Luong's decoder with input feeding", output.weights)


def show(title, weights):
    print(f"{title}:")
    for row in ops.convert_to_numpy(weights)[0]:
        print("   ", "  ".join(f"{weight:.2f}" for weight in row))


if __name__ == "__main__":
    main()
