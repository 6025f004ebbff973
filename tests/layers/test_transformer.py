"""Transformer blocks: norms, feed-forward forms, masks, files."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention import layers
from keras_attention.testing import assert_no_future_leak, assert_padding_invariant


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


INPUTS = normal(2, 5, 8)


def test_pre_norm_adds_and_post_norm_normalizes_last():
    pre, post = layers.Residual("pre"), layers.Residual("post")
    doubled = {"sublayer": lambda x: 2 * x}
    normalized = keras.layers.LayerNormalization(epsilon=1e-6)
    assert_allclose(pre(INPUTS, **doubled), INPUTS + 2 * normalized(INPUTS), atol=1e-5)
    assert_allclose(post(INPUTS, **doubled), normalized(3 * INPUTS), atol=1e-5)


def test_feed_forward_forms():
    relu = layers.FeedForward(6)
    W1, b1, W2, b2 = (relu(INPUTS), relu.get_weights())[1]
    assert_allclose(relu(INPUTS), np.maximum(INPUTS @ W1 + b1, 0) @ W2 + b2, atol=1e-5)
    swiglu = layers.FeedForward(6, "swiglu")
    swiglu(INPUTS)
    W, V, W2 = swiglu.get_weights()
    gate = INPUTS @ W
    assert_allclose(swiglu(INPUTS), (gate / (1 + np.exp(-gate)) * (INPUTS @ V)) @ W2, atol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_stack_of_blocks_keeps_padding_out_and_hides_the_future(norm):
    embedding = keras.layers.Embedding(9, 8, mask_zero=True)
    encoder = [layers.EncoderBlock(2, 12, norm=norm, name=f"encoder_{i}") for i in range(2)]
    decoder = [layers.DecoderBlock(2, 12, norm=norm, name=f"decoder_{i}") for i in range(2)]

    def model(inputs):
        encoded, decoded = embedding(inputs["source"]), embedding(inputs["target"])
        for block in encoder:
            encoded = block(encoded)
        for block in decoder:
            decoded = block(decoded, encoded)
        return decoded

    inputs = {"source": np.array([[5, 6, 7], [8, 3, 0]]), "target": np.array([[4, 2, 8, 1], [3, 5, 2, 6]])}
    assert_padding_invariant(model, inputs, padded="source")
    assert_no_future_leak(model, inputs, causal="target")


@pytest.mark.parametrize("block", ["encoder", "decoder"])
def test_block_survives_a_keras_file_with_all_its_options(block, tmp_path):
    options = {
        "norm": "post",
        "activation": "swiglu",
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "key_dim": 6,
        "attention_options": {"kv_heads": 1, "positions": "rotary", "qk_norm": True},
    }
    inputs = [keras.Input((None, 8)), keras.Input((None, 6))]
    if block == "encoder":
        outputs = layers.EncoderBlock(2, 12, **options)(inputs[0])
    else:
        outputs = layers.DecoderBlock(2, 12, **options)(*inputs)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    data = [INPUTS, normal(2, 7, 6)]
    assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(data), model(data))


def test_dropout_acts_in_training_only():
    block = layers.EncoderBlock(2, 12, dropout=0.5, attention_dropout=0.5)
    assert_array_equal(block(INPUTS), block(INPUTS))
    assert not np.allclose(block(INPUTS), block(INPUTS, training=True))
