"""The laws of models of histories: padding anywhere, no future, the latest items, files, training, compilation."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from keras_attention.models import SASRec
from tests.laws.cases import ITEM_IDS, RECOMMENDATION_MODELS, USER_IDS
from tests.laws.tools import array, assert_close, assert_same, dtype_of, jitted_on_jax, once, only_tensorflow

EVERY = pytest.mark.parametrize("name", RECOMMENDATION_MODELS)
LENGTH = 4


def with_weights_that_matter(model):
    """The model with larger weights, so that attention prefers something."""
    generator = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(generator.normal(size=weight.shape))
    return model


@once
def model_of(name):
    return with_weights_that_matter(RECOMMENDATION_MODELS[name]())


@once
def attend_of(name):
    return jitted_on_jax(model_of(name).attend)


def inputs_of(model, history):
    history = np.array(history, "int32")
    users = np.arange(4, 4 + len(history), dtype="int32") % USER_IDS
    return {"history": history} | ({"user": users} if model.has_users else {})


def candidates_of(model, history):
    """What a model is trained with: the items after each one, and others."""
    history = np.array(history, "int32")
    following = np.roll(history, -1, axis=1) if model.every_position else history[:, :1]
    negatives = np.array([4, 5, 6, 7, 8], "int32")
    return inputs_of(model, history) | {"next": following, "negatives": negatives}


HISTORIES = [[5, 7, 9, 4], [6, 8, 0, 0]]


@EVERY
@pytest.mark.parametrize("places", [(0, 1), (2, 4), (4, 5)], ids=["in front", "between", "behind"])
def test_padding_changes_nothing_wherever_it_stands(name, places):
    model, attend = model_of(name), attend_of(name)
    kept = [place for place in range(LENGTH + 2) if place not in places]
    padded = np.zeros((2, LENGTH + 2), "int32")
    padded[:, kept] = HISTORIES
    expected_scores, expected_weights = attend(inputs_of(model, HISTORIES))
    scores, weights = attend(inputs_of(model, padded))
    assert_close(scores, expected_scores, atol=1e-4)
    assert_close(array(weights)[..., kept], expected_weights)
    assert_same(array(weights)[..., list(places)], 0)
    assert_allclose(array(weights).sum(-1), 1, atol=1e-5)


@EVERY
def test_only_the_latest_items_are_read(name):
    model, attend = model_of(name), attend_of(name)
    long = [[10, *HISTORIES[0]], [10, 7, 6, 8, 9]]
    scores, weights = attend(inputs_of(model, long))
    expected = attend(inputs_of(model, [row[1:] for row in long]))
    assert_close(scores, expected[0], atol=1e-4)
    assert_same(array(weights)[..., 0], 0)


@EVERY
def test_what_is_trained_is_what_is_recommended(name):
    """The logits after each item are the scores of a history that ends there; those of what came are barred.

    SASRec counts positions from the end, so that only the last item of a history stands where it is asked with.
    """
    model = model_of(name)
    inputs = candidates_of(model, HISTORIES)
    logits = array(model(inputs))
    following, negatives = inputs["next"], inputs["negatives"]
    for row, items in enumerate(HISTORIES):
        users = {name: values[row : row + 1] for name, values in inputs.items() if name == "user"}
        last = np.count_nonzero(items) - 1
        for at in range(last if isinstance(model, SASRec) else 0, last + 1) if model.every_position else [0]:
            history = np.array([items[: at + 1] if model.every_position else items], "int32")
            scores = array(model({"history": history} | users))[0]
            right = following[row, at]
            assert_allclose(logits[row, at, 0], scores[right], atol=1e-4)
            others = np.where(negatives == right, -1e9, scores[negatives])
            assert_allclose(logits[row, at, 1:], others, atol=1e-4)


@EVERY
def test_an_empty_history_gives_finite_scores_and_no_weights(name):
    model = model_of(name)
    scores, weights = attend_of(name)(inputs_of(model, [[0, 0, 0, 0], [1, 2, 3, 0]]))
    assert np.isfinite(array(scores)).all()
    assert_same(weights, 0)


@EVERY
def test_it_learns_and_comes_back_from_a_file(name, tmp_path):
    model = RECOMMENDATION_MODELS[name]()
    inputs = candidates_of(model, [[5, 7, 9, 4], [6, 8, 5, 7]])
    labels, counts = np.zeros_like(inputs["next"]), np.ones(inputs["next"].shape, "float32")

    def loss_of():
        logits = ops.cast(model(inputs), "float32")
        return float(ops.mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)))

    before = loss_of()
    optimizer = keras.optimizers.Adam(0.1)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    for _ in range(8):
        model.train_on_batch(inputs, labels, counts)
    assert loss_of() < before
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    assert_same(again(inputs_of(model, HISTORIES)), model(inputs_of(model, HISTORIES)))


@EVERY
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_finite(name, policy):
    model = RECOMMENDATION_MODELS[name](dtype=policy)
    scores, _ = jitted_on_jax(model.attend)(inputs_of(model, HISTORIES))
    assert dtype_of(scores) == "float32"
    assert np.isfinite(array(scores)).all()
    assert np.isfinite(array(model(candidates_of(model, HISTORIES)))).all()


@only_tensorflow
@EVERY
def test_compiled_is_not_compiled(name):
    import tensorflow as tf

    model = model_of(name)
    inputs = inputs_of(model, HISTORIES)
    specs = {key: tf.TensorSpec([None] * value.ndim, tf.int32) for key, value in inputs.items()}
    expected = model.attend(inputs)
    received = tf.function(model.attend, input_signature=[specs], jit_compile=True, autograph=False)(inputs)
    for one, other in zip(received, expected, strict=True):
        assert_allclose(one, other, atol=1e-3)


def test_a_profile_changes_what_is_attended_to():
    attend = attend_of("profiles")
    one, other = ({"history": np.array([[5, 7, 9]], "int32"), "user": np.array([user], "int32")} for user in (4, 5))
    assert np.abs(array(attend(one)[1]) - array(attend(other)[1])).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4,), "vocabulary_size must be at least 5. Received 4"),
        ((ITEM_IDS, 0), "units must be at least 1. Received 0"),
        ((ITEM_IDS, 4, 0), "max_length must be at least 1. Received 0"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SASRec(*arguments)
