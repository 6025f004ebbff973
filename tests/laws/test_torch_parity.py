"""Multi-head attention beside torch's own function, with the weights copied over.

It needs torch, which `make test-backends` installs; elsewhere it is skipped.
"""

import numpy as np
import pytest

from keras_attention import layers
from tests.laws.tools import assert_close

torch = pytest.importorskip("torch", reason="torch is not installed; make test-backends installs it")

BATCH, TARGET, SOURCE, DIM, HEADS, KEY_DIM = 2, 11, 7, 8, 4, 6


def heads(inputs, kernel, bias):
    return torch.einsum("btd,dnh->bnth", torch.tensor(inputs), torch.tensor(kernel)) + torch.tensor(bias)[:, None]


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("blockwise", [False, True])
@pytest.mark.parametrize("mask", ["none", "causal", "padding"])
def test_multi_head_attention_is_torchs_scaled_dot_product_attention(mask, blockwise, kv_heads):
    generator = np.random.default_rng(0)
    query = generator.normal(size=(BATCH, TARGET, DIM)).astype("float32")
    source = TARGET if mask == "causal" else SOURCE
    value = generator.normal(size=(BATCH, source, DIM)).astype("float32")
    padding = np.arange(source) < np.array([[4], [source]]) if mask == "padding" else None
    layer = layers.MultiHeadAttention(HEADS, KEY_DIM, kv_heads=kv_heads, blockwise=blockwise)
    layer.build(query.shape, value.shape)
    weights = [weight + 0.1 for weight in layer.get_weights()]
    layer.set_weights(weights)
    query_heads, key_heads, value_heads = (
        heads(inputs, *weights[index : index + 2]) for inputs, index in ((query, 0), (value, 2), (value, 4))
    )
    context = torch.nn.functional.scaled_dot_product_attention(
        query_heads,
        key_heads,
        value_heads,
        attn_mask=None if padding is None else torch.tensor(padding)[:, None, None],
        is_causal=mask == "causal",
        enable_gqa=True,
    )
    expected = torch.einsum("bnth,nhd->btd", context, torch.tensor(weights[6])) + torch.tensor(weights[7])
    received = layer(query, value, value_mask=padding, use_causal_mask=mask == "causal")
    assert_close(received, expected.numpy())
