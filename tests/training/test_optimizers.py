"""Muon: every matrix of attention, and nothing else, is moved by an orthogonal update."""

import keras
import numpy as np
import pytest

from keras_attention.layers import BahdanauAttention, MultiHeadSelfAttention
from keras_attention.models import RecurrentTranslator, TransformerTranslator
from keras_attention.recipes import OPTIMIZERS
from keras_attention.training import Muon


def matrices(optimizer, layer):
    """The paths, without the layer's own name, of what is a matrix for an optimizer."""
    return [v.path.split("/", 1)[1] for v in layer.trainable_variables if optimizer.is_matrix(v)]


def update(optimizer, variable, gradient):
    """By how much a variable moves at the first update."""
    before = keras.ops.convert_to_numpy(variable)
    optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return keras.ops.convert_to_numpy(variable) - before


@pytest.mark.parametrize("layer", [MultiHeadSelfAttention(2, 4), keras.layers.MultiHeadAttention(2, 4)])
def test_kernels_of_attention_are_matrices_and_biases_are_not(layer):
    x = np.zeros((1, 3, 8), "float32")
    layer(x) if isinstance(layer, MultiHeadSelfAttention) else layer(x, x)
    assert matrices(Muon(), layer) == ["query/kernel", "key/kernel", "value/kernel", "attention_output/kernel"]
    kernels = [v for v in layer.trainable_variables if v.name == "kernel"]
    assert all(keras.optimizers.Muon()._should_use_adamw(v) for v in kernels)  # why there is this class


def test_vector_of_additive_attention_is_no_matrix():
    layer = BahdanauAttention(4)
    layer(np.zeros((1, 2, 5), "float32"), np.zeros((1, 3, 6), "float32"))
    assert all(path.endswith("projection/kernel") for path in matrices(Muon(), layer))
    assert len(matrices(Muon(), layer)) == 2


@pytest.mark.parametrize(
    ("shape", "folded"), [((8, 2, 4), (8, 8)), ((2, 4, 8), (8, 8)), ((8, 2, 3), (8, 6)), ((5, 7), (5, 7))]
)
def test_update_is_that_of_keras_for_the_folded_kernel_and_orthogonal(shape, folded):
    gradient = np.random.default_rng(0).normal(size=shape).astype("float32")
    kernel = keras.Variable(np.ones(shape, "float32"), name="kernel")
    matrix = keras.Variable(np.ones(folded, "float32"), name="kernel")
    received = update(Muon(0.01), kernel, gradient)
    expected = update(keras.optimizers.Muon(0.01, weight_decay=None), matrix, gradient.reshape(folded))
    np.testing.assert_allclose(received.reshape(folded), expected, rtol=1e-4, atol=1e-7)
    singular = np.linalg.svd(received.reshape(folded), compute_uv=False) / (0.01 * 0.2 * max(folded) ** 0.5)
    assert singular.min() > 0.4
    assert singular.max() < 1.3


def test_what_is_no_matrix_is_moved_as_by_adam():
    gradient = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    for name in ("bias", "embeddings"):
        variables = [keras.Variable(np.ones((2, 4), "float32"), name=name) for _ in range(2)]
        muon = Muon(0.01, exclude_layers=["embeddings"])
        np.testing.assert_allclose(
            update(muon, variables[0], gradient), update(keras.optimizers.Adam(0.01), variables[1], gradient), rtol=1e-5
        )


def test_layer_that_gives_logits_is_adams_in_training():
    muon = OPTIMIZERS["muon"](0.01)
    untied = TransformerTranslator(9, 7, layers=1, units=8, num_heads=2, feed_forward_units=4, tied=None)
    tied = TransformerTranslator(9, 9, layers=1, units=8, num_heads=2, feed_forward_units=4)
    assert matrices(muon, untied) == matrices(muon, tied)
    assert len(matrices(muon, tied)) == 3 * 4 + 2 * 2  # three attentions, two feed-forward layers
    recurrent = RecurrentTranslator(9, 7, units=4, embedding_dim=4)
    assert not any("embedding" in path or "decoder/output/" in path for path in matrices(muon, recurrent))


def test_muon_survives_its_configuration():
    made = Muon(0.01, exclude_layers=["output"], weight_decay=0.1, momentum=0.9)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert isinstance(again, Muon)
    assert again.get_config() == made.get_config()
