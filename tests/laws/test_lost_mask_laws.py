"""Recurrent layers that keep masks with every version of Keras, and what is said of those that lose them."""

import functools
import inspect
import warnings

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention import layers
from tests.laws.cases import ATTENTIONS
from tests.laws.tools import array, normal, only_tensorflow

IDS = np.array([[3, 4, 5, 0, 0], [0, 0, 6, 7, 8], [1, 2, 3, 4, 5]])
LENGTH = 5
MASK = IDS != 0


def _without_masks(constructor):
    @functools.wraps(constructor)
    def construct(self, *args, **kwargs):
        constructor(self, *args, **kwargs)
        self.supports_masking = False

    construct.__signature__ = inspect.signature(constructor)  # of which Keras makes configs
    return construct


def forget(monkeypatch):
    for layer in (keras.layers.RNN, keras.layers.Bidirectional, keras.layers.TimeDistributed):
        monkeypatch.setattr(layer, "__init__", _without_masks(layer.__init__))


@pytest.fixture
def forgetting(monkeypatch):
    """Keras from 3.16 on, three layers of which say that they do not support masks."""
    forget(monkeypatch)


# Name: a layer of a module, `keras.layers` or ours, over `(batch, length, 3)`.
KEPT = {
    "LSTM": lambda module: module.LSTM(4, return_sequences=True),
    "GRU with states": lambda module: module.GRU(4, return_sequences=True, return_state=True),
    "SimpleRNN": lambda module: module.SimpleRNN(4, return_sequences=True, zero_output_for_mask=True),
    "RNN of two cells": lambda module: module.RNN(
        [keras.layers.GRUCell(4), keras.layers.LSTMCell(2)], return_sequences=True, return_state=True
    ),
    "Bidirectional": lambda module: module.Bidirectional(module.GRU(4, return_sequences=True)),
    "Bidirectional of Keras' LSTM": lambda module: module.Bidirectional(
        keras.layers.LSTM(4, return_sequences=True, return_state=True), merge_mode="sum"
    ),
    "Bidirectional, apart": lambda module: module.Bidirectional(module.GRU(4, return_sequences=True), merge_mode=None),
    "TimeDistributed": lambda module: module.TimeDistributed(keras.layers.Dense(4)),
}
EVERY_KEPT = pytest.mark.parametrize("name", KEPT)


def embedded(ids=IDS):
    return keras.layers.Embedding(9, 3, mask_zero=True)(ids)


def masks_of(outputs):
    return [keras.src.backend.get_keras_mask(output) for output in keras.tree.flatten(outputs)]


@EVERY_KEPT
def test_sequences_come_with_the_mask_and_are_those_of_keras(name, forgetting):
    inputs, ours, theirs = embedded(), KEPT[name](layers), KEPT[name](keras.layers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is lost, and nobody says so
        outputs = ours(inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs(inputs)
        theirs.set_weights(ours.get_weights())
        expected = theirs(inputs)
    for result, other, mask in zip(*map(keras.tree.flatten, (outputs, expected)), masks_of(outputs), strict=True):
        assert_allclose(array(result), array(other), atol=1e-6)
        if len(result.shape) == 3:
            assert_array_equal(array(mask), MASK)
        else:
            assert mask is None


@pytest.fixture(scope="module")
def encoded():
    """Source and target that our recurrent layers read, with Keras as it is from 3.16 on."""
    with pytest.MonkeyPatch.context() as patch:
        forget(patch)
        source = layers.Bidirectional(layers.GRU(2, return_sequences=True))(embedded())
        return source, layers.LSTM(4, return_sequences=True)(embedded(IDS[:, ::-1].copy()))


@pytest.mark.parametrize("name", ATTENTIONS)
def test_no_attention_behind_them_reads_padding(name, encoded):
    source, target = encoded
    weights = array(ATTENTIONS[name]()(target, source).weights)
    assert not (weights * ~MASK[:, None, :]).any()
    assert not (weights * ~MASK[:, ::-1, None]).any()


@pytest.mark.parametrize("with_state", [False, True])
def test_mask_turns_round_with_the_sequence(with_state):
    inputs = embedded()
    layer = layers.GRU(4, return_sequences=True, return_state=with_state, go_backwards=True, zero_output_for_mask=True)
    output = keras.tree.flatten(layer(inputs))[0]
    assert_array_equal(array(keras.src.backend.get_keras_mask(output)), MASK[:, ::-1])
    assert_array_equal(array(output).any(-1), MASK[:, ::-1])


def test_sequences_come_with_the_mask_on_the_keras_that_is_installed():
    assert_array_equal(array(masks_of(KEPT["Bidirectional"](layers)(embedded()))[0]), MASK)


def test_last_state_alone_has_no_mask(forgetting):
    assert masks_of(layers.LSTM(4)(embedded())) == [None]
    assert masks_of(layers.Bidirectional(layers.GRU(4))(embedded())) == [None]


def test_sentence_counts_that_has_a_word(forgetting):
    words = embedded(np.array([[[3, 4], [5, 0], [0, 0]]]))
    of_sentences = layers.TimeDistributed(layers.LSTM(4))(words)
    assert_array_equal(array(masks_of(of_sentences)[0]), [[True, True, False]])
    of_words = layers.TimeDistributed(layers.LSTM(4, return_sequences=True))(words)
    assert_array_equal(array(masks_of(of_words)[0]), [[[True, True], [True, False], [False, False]]])


def test_model_of_them_comes_back_from_a_file(tmp_path, forgetting):
    model = keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            keras.layers.Embedding(9, 3, mask_zero=True),
            layers.Bidirectional(layers.LSTM(2, return_sequences=True), merge_mode="ave"),
            layers.RNN([keras.layers.GRUCell(4), keras.layers.GRUCell(4)], return_sequences=True),
            layers.GRU(4, return_sequences=True),
            layers.SimpleRNN(4, return_sequences=True),
            layers.TimeDistributed(keras.layers.Dense(4)),
            layers.EncoderBlock(2, 8),
        ]
    )
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in model.layers]
    assert_allclose(again.predict(IDS, verbose=0), model.predict(IDS, verbose=0), atol=1e-6)


# What is said of layers that lose masks.


class Forgetful(keras.layers.Layer):
    """A layer of a user, whose author did not think of masks."""

    def call(self, inputs):
        return inputs * 2.0


RECEIVERS = {
    "attention": lambda: layers.BahdanauAttention(4),
    "multi-head": lambda: layers.MultiHeadAttention(2, 4),
    "self-attention": lambda: layers.MultiHeadSelfAttention(2, 4),
    "decoder": lambda: layers.AttentionRNN(layers.LuongCell(4)),
    "encoder block": lambda: layers.EncoderBlock(2, 8),
    "decoder block": lambda: layers.DecoderBlock(2, 8),
    "positions": lambda: layers.PositionalEncoding(),
    "learned positions": lambda: layers.LearnedPositions(8),
}
ALONE = {"self-attention", "encoder block", "positions", "learned positions"}
LOSERS = {
    "LSTM": lambda: keras.layers.LSTM(4, return_sequences=True),
    "Bidirectional": lambda: keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True)),
    "TimeDistributed": lambda: keras.layers.TimeDistributed(keras.layers.Dense(4)),
    "Forgetful": Forgetful,
    "Multiply": lambda: lambda x: ops.multiply(x, 2.0),
}


def symbols():
    """Symbolic embeddings of 4, with the mask of their ids."""
    ids = keras.Input((LENGTH,), dtype="int32")
    return keras.layers.Embedding(9, 4, mask_zero=True)(ids)


def warnings_of(build):
    """What our layers say while a model is built."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build()
    return [str(warning.message) for warning in caught if "takes padding for tokens" in str(warning.message)]


@pytest.mark.parametrize("name", RECEIVERS)
def test_every_layer_of_ours_says_who_lost_the_mask(name, forgetting):
    lost = keras.layers.LSTM(4, return_sequences=True, name="culprit")(symbols())
    receiver = RECEIVERS[name]()
    (message,) = warnings_of(lambda: receiver(lost) if name in ALONE else receiver(symbols(), lost))
    assert receiver.name in message
    assert "LSTM 'culprit'" in message
    assert "Use keras_attention.layers.LSTM" in message


@pytest.mark.parametrize("name", LOSERS)
def test_it_is_said_once_of_every_layer_that_loses_masks(name, forgetting):
    def build():
        lost = keras.layers.Dense(4)(LOSERS[name]()(symbols()))
        stack = layers.EncoderBlock(2, 8)(layers.EncoderBlock(2, 8)(lost))
        layers.MultiHeadAttention(2, 4)(stack, lost)

    (message,) = warnings_of(build)
    assert f"comes from {name} '" in message


def test_it_is_said_once_while_a_sequential_model_grows(forgetting):
    model = keras.Sequential([keras.Input((LENGTH,), dtype="int32"), keras.layers.Embedding(9, 4, mask_zero=True)])
    parts = [keras.layers.LSTM(4, return_sequences=True), layers.EncoderBlock(2, 8), keras.layers.Dense(2)]
    assert len(warnings_of(lambda: [model.add(part) for part in parts])) == 1


def test_nothing_is_said_where_no_mask_is_lost(forgetting):
    def build():
        kept = layers.Bidirectional(layers.GRU(2, return_sequences=True))(symbols())
        layers.BahdanauAttention(4)(keras.layers.Dense(4)(kept), kept)
        whole = keras.layers.RepeatVector(3)(keras.layers.LSTM(4)(symbols()))  # one vector, which has no padding
        layers.EncoderBlock(2, 8)(whole)
        layers.EncoderBlock(2, 8)(keras.layers.LSTM(4, return_sequences=True)(keras.Input((LENGTH, 4))))
        layers.EncoderBlock(2, 8)(keras.layers.RepeatVector(3)(keras.layers.GlobalAveragePooling1D()(symbols())))

    assert warnings_of(build) == []


def test_nothing_is_said_where_the_mask_is_given(forgetting):
    def build():
        mask = keras.Input((LENGTH,), dtype="bool")
        lost = keras.layers.LSTM(4, return_sequences=True)(symbols())
        layers.BahdanauAttention(4)(symbols(), lost, value_mask=mask)
        layers.EncoderBlock(2, 8)(lost, mask=mask)

    assert warnings_of(build) == []


def test_who_is_told_the_mask_speaks_for_no_other(forgetting):
    def build():
        lost = keras.layers.LSTM(4, return_sequences=True)(symbols())
        layers.BahdanauAttention(4)(symbols(), lost, value_mask=keras.Input((LENGTH,), dtype="bool"))
        layers.BahdanauAttention(4, name="second")(symbols(), lost)

    (message,) = warnings_of(build)
    assert message.startswith("BahdanauAttention 'second'")


# Ragged tensors.


@only_tensorflow
@pytest.mark.parametrize("name", RECEIVERS)
def test_ragged_tensor_is_refused_with_the_way_out(name):
    import tensorflow as tf

    ragged = tf.RaggedTensor.from_row_lengths(normal(7, 4), [3, 4])
    receiver = RECEIVERS[name]()
    with pytest.raises(TypeError, match=r"must be dense.*x\.to_tensor\(\).*row_lengths"):
        receiver(ragged) if name in ALONE else receiver(tf.zeros((2, 4, 4)), ragged)


@only_tensorflow
def test_ragged_input_of_a_model_is_refused():
    with pytest.raises(TypeError, match="must be dense"):
        layers.EncoderBlock(2, 8)(keras.Input((None, 4), ragged=True))


@only_tensorflow
def test_ragged_ids_of_a_translator_are_refused():
    import tensorflow as tf

    from tests.laws.cases import MODELS

    ids = tf.ragged.constant([[2, 3], [4, 5, 6]])
    with pytest.raises(TypeError, match="must be dense"):
        MODELS["transformer"]()({"source": ids, "target": tf.constant([[2], [2]])})
