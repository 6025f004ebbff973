"""Layers that are alike are one function of a graph, called with the weights of each."""

import keras
import numpy as np
import tensorflow as tf

from keras_attention.models import TransformerDecoder, TransformerEncoder
from keras_attention.models.transformer.alike import alike_traced_once, call_alike


def encoder(layers, **options):
    made = TransformerEncoder(keras.layers.Embedding(9, 4), layers=layers, num_heads=2, feed_forward_units=8, **options)
    made.build((None, None))
    return made


def traced(function, *specs):
    """A graph, and the functions that it holds of layers that are alike."""
    with alike_traced_once():
        graph = tf.function(function, autograph=False).get_concrete_function(*specs)
    library = graph.graph.as_graph_def().library
    return graph, [each for each in library.function if "traced" in each.signature.name]


IDS = np.array([[5, 6, 7], [1, 2, 0]], "int32")
SPEC = tf.TensorSpec([None, None], tf.int32)


def test_outputs_are_those_of_layers_that_stand_for_themselves():
    made = encoder(3)
    graph, functions = traced(lambda ids: made(ids, mask=ids != 0).outputs, SPEC)
    assert len(functions) == 1
    np.testing.assert_allclose(graph(tf.constant(IDS)), made(IDS, mask=IDS != 0).outputs, atol=1e-6)
    for block in made.blocks:  # the weights are those of now
        block.feed_forward.hidden.kernel.assign(block.feed_forward.hidden.kernel * 2)
    np.testing.assert_allclose(graph(tf.constant(IDS)), made(IDS, mask=IDS != 0).outputs, atol=1e-6)


def test_more_layers_are_more_calls_and_no_more_functions():
    decoder = TransformerDecoder(keras.layers.Embedding(9, 4), layers=5, num_heads=2, feed_forward_units=8)
    decoder.build((None, None), (None, None, 4))

    def step(ids, value):
        memory = decoder.prepare(value)
        return decoder(ids, memory, decoder.start((), memory)).logits

    graph, functions = traced(step, SPEC, tf.TensorSpec([None, None, 4]))
    assert len(functions) == 2  # what prepares a source, and what reads it
    value = np.ones((2, 3, 4), "float32")
    np.testing.assert_allclose(graph(tf.constant(IDS), tf.constant(value)), step(IDS, value), atol=1e-6)


def test_a_layer_that_differs_has_a_function_of_its_own():
    made = encoder(3)
    made.blocks[1] = encoder(1, activation="gelu").blocks[0]
    made.blocks[2].feed_forward.quantize("int8")
    graph, functions = traced(lambda ids: made(ids).outputs, SPEC)
    assert len(functions) == 3
    np.testing.assert_allclose(graph(tf.constant(IDS)), made(IDS).outputs, atol=1e-4)


def test_elsewhere_the_layer_is_called_as_it_is():
    layer = keras.layers.Dense(2)
    function = tf.function(lambda x: call_alike(layer, "__call__", x)).get_concrete_function(tf.TensorSpec([1, 3]))
    assert not function.graph.as_graph_def().library.function


def test_a_large_layer_stays_a_call_and_a_small_one_does_not(monkeypatch):
    for least, is_called in ((1, True), (10**9, False)):
        monkeypatch.setattr("keras_attention.models.transformer.alike.WORTH_A_CALL", least)
        made = encoder(2)
        _, (function,) = traced(lambda ids, made=made: made(ids).outputs, SPEC)
        assert ("_noinline" in function.attr) == is_called


def test_a_mask_that_the_embedding_gives_is_that_of_the_blocks():
    made = encoder(2, attention_options={"positions": "rotary"})
    made.embedding.mask_zero = made.embedding.supports_masking = True
    graph, _ = traced(lambda ids: made(ids).outputs, SPEC)
    np.testing.assert_allclose(graph(tf.constant(IDS)), made(IDS).outputs, atol=1e-6)
    np.testing.assert_allclose(made(IDS).outputs[1, :2], made(IDS[1:, :2]).outputs[0], atol=1e-6)
