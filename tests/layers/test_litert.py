"""Layers of unknown length in LiteRT, with its own operations alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_attention import layers


@pytest.mark.parametrize(
    "make",
    [
        lambda x: layers.EncoderBlock(2, 16)(layers.MultiHeadSelfAttention(2, 4)(x, use_causal_mask=True)),
        lambda x: layers.BahdanauAttention(4)(x, x).context,
    ],
    ids=["block", "Bahdanau"],
)
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated.*")
def test_layer_of_unknown_length_is_converted_and_computes_the_same(make, tmp_path):
    inputs = keras.Input((None, 8))
    model = keras.Model(inputs, make(inputs))
    model.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
    run = tf.lite.Interpreter(str(tmp_path / "model.tflite")).get_signature_runner()
    (name,) = run.get_input_details()
    for length in (3, 7):
        data = np.random.default_rng(length).normal(size=(1, length, 8)).astype("float32")
        (received,) = run(**{name: data}).values()
        assert_allclose(received, model(data), atol=1e-5)
