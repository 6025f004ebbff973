"""Sample weights, class weights, masks on the logits and reductions mean what they mean for Keras' own losses."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.src.backend import set_keras_mask
from numpy.testing import assert_allclose

from keras_attention import BahdanauAttention
from keras_attention.training import ExactMatch, MaskedCrossentropy, Tokens, Validation
from tests.laws.tools import BACKEND, array, begin_anew, gradients, normal, only_tensorflow, tensor

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", None, "none")
LABELS = np.array([[1, 2, 4, 0, 0], [3, 1, 2, 2, 1], [2, 0, 0, 0, 0]])
LOGITS = normal(3, 5, 6)
MASK = np.array([[1, 0, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
ROWS = np.array([0.5, 2.0, 0.0], "float32")
TOKENS = np.abs(normal(3, 5, seed=1))
WEIGHTS = {"none": None, "rows": ROWS, "columns": ROWS[:, None], "tokens": TOKENS, "tokens in 3-d": TOKENS[..., None]}
EVERY_REDUCTION = pytest.mark.parametrize("reduction", REDUCTIONS)
EVERY_WEIGHT = pytest.mark.parametrize("weights", WEIGHTS)
MASKED = pytest.mark.parametrize("masked", [False, True], ids=["plain logits", "masked logits"])


def logits_of(values, mask=None):
    """Logits as a model gives them, with the mask that Keras hangs on them."""
    logits = ops.add(tensor(values), 0)
    if mask is not None:
        set_keras_mask(logits, tensor(mask))
    return logits


def keras_own(reduction="sum_over_batch_size", **arguments):
    return keras.losses.SparseCategoricalCrossentropy(True, ignore_class=0, reduction=reduction, **arguments)


def tokens_of(weights):
    """Weights as one a token, which Keras' own loss takes with every mask."""
    return None if weights is None else np.broadcast_to(weights.reshape(3, -1), LABELS.shape).copy()


@MASKED
@EVERY_WEIGHT
@EVERY_REDUCTION
def test_loss_is_that_of_keras(reduction, weights, masked):
    mask, weights = MASK if masked else None, WEIGHTS[weights]
    ours = MaskedCrossentropy(reduction=reduction)(LABELS, logits_of(LOGITS, mask), weights)
    theirs = keras_own(reduction)(LABELS, logits_of(LOGITS, mask), tokens_of(weights))
    assert_allclose(array(ours), array(theirs), rtol=1e-5, atol=1e-6)


@MASKED
def test_weights_of_rows_weigh_rows_where_there_are_as_many_as_tokens(masked):
    square, mask = np.s_[:, :3], MASK if masked else None
    loss = MaskedCrossentropy(reduction=None)
    logits = logits_of(LOGITS[square], None if mask is None else mask[square])
    weighted = array(loss(LABELS[square], logits, ROWS))
    logits = logits_of(LOGITS[square], None if mask is None else mask[square])
    assert_allclose(weighted, array(loss(LABELS[square], logits)) * ROWS[:, None], rtol=1e-6)


def gradient(loss, labels, values, weights=None, mask=None):
    """Of the loss, summed where it is not reduced as Keras' trainer does, in respect of the logits."""

    def total(logits):
        return ops.sum(loss(labels, logits_of(logits, mask), weights))

    return gradients(total, values)[0]


@EVERY_REDUCTION
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_what_has_no_weight_trains_nothing_whatever_stands_there(reduction, smoothing):
    values = LOGITS.copy()
    values[2] = np.nan
    values[0, 3:] = np.inf
    weights = np.array([1.0, 2.0, 0.0], "float32")
    slope = gradient(MaskedCrossentropy(smoothing, reduction=reduction), LABELS, values, weights, MASK)
    trained = (LABELS != 0) & MASK & (weights[:, None] != 0)
    assert not slope[~trained].any()
    assert np.abs(slope[trained]).min() > 0


# What a step is of the step on the rows that remain: 5 and 3 of 9 tokens are in the first two rows.
FACTORS = {"sum_over_batch_size": 8 / 9, "mean": 8 / 9, "mean_with_sample_weight": 1, "sum": 1, None: 1, "none": 1}


@EVERY_REDUCTION
@pytest.mark.parametrize("make", [MaskedCrossentropy, keras_own], ids=["ours", "Keras' own"])
def test_step_without_a_row_is_the_step_on_the_others(make, reduction):
    loss = make(reduction=reduction)
    step = gradient(loss, LABELS, LOGITS, tokens_of(np.array([1.0, 1.0, 0.0])))
    rest = gradient(loss, LABELS[:2], LOGITS[:2])
    assert_allclose(step[:2], FACTORS[reduction] * rest, atol=1e-7)


@EVERY_REDUCTION
def test_step_with_a_mask_on_the_logits_is_the_step_on_what_it_leaves(reduction):
    loss = MaskedCrossentropy(reduction=reduction)
    step = gradient(loss, LABELS, LOGITS, mask=MASK)
    assert_allclose(step, gradient(loss, LABELS * MASK, LOGITS), atol=1e-7)


@EVERY_REDUCTION
def test_smoothed_loss_is_that_of_keras_over_smoothed_labels(reduction):
    loss = MaskedCrossentropy(0.2, reduction=reduction)
    theirs = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.2, reduction=reduction)
    weights, mask = TOKENS, (LABELS != 0) & MASK
    expected = theirs(np.eye(6)[LABELS], logits_of(LOGITS, mask), weights)
    assert_allclose(array(loss(LABELS, logits_of(LOGITS, MASK), weights)), array(expected), rtol=1e-5, atol=1e-6)


def test_column_of_labels_is_taken_as_keras_own_loss_takes_it():
    loss = MaskedCrossentropy()
    assert_allclose(float(loss(LABELS[..., None], LOGITS)), float(keras_own()(LABELS[..., None], LOGITS)), rtol=1e-6)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX has no float64 unless it is told")
def test_loss_of_float64_is_computed_in_float64():
    values = LOGITS.astype("float64") + 1e-9 * normal(*LOGITS.shape, seed=3)
    loss = MaskedCrossentropy(reduction="sum", dtype="float64")(LABELS, values, ROWS)
    log_probs = values - np.log(np.exp(values).sum(-1, keepdims=True))
    losses = -np.take_along_axis(log_probs, LABELS[..., None], -1)[..., 0] * (LABELS != 0)
    assert_allclose(float(loss), (losses * ROWS[:, None]).sum(), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_ids_of_a_large_vocabulary_survive_a_loss_of_half_precision(dtype):
    values = np.zeros((1, 1, 2050), "float32")
    values[0, 0, 2049] = 9.0
    assert float(MaskedCrossentropy(dtype=dtype)(np.array([[2049]]), values)) < 1.0


@EVERY_REDUCTION
def test_loss_survives_its_config(reduction):
    loss = MaskedCrossentropy(0.1, name="mine", reduction=reduction, dtype="float64")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    assert again.reduction == reduction


def test_unknown_reduction_is_refused_as_keras_refuses_it():
    with pytest.raises(ValueError, match="Invalid value for argument `reduction`"):
        MaskedCrossentropy(reduction="average")


@only_tensorflow
@EVERY_REDUCTION
def test_loss_is_shared_among_replicas_as_that_of_keras(reduction, monkeypatch):
    import tensorflow as tf

    class TwoReplicas:
        num_replicas_in_sync = 2

    monkeypatch.setattr(tf.distribute, "get_strategy", TwoReplicas)
    ours, theirs = MaskedCrossentropy(reduction=reduction), keras_own(reduction)
    assert_allclose(array(ours(LABELS, LOGITS)), array(theirs(LABELS, LOGITS)), rtol=1e-5, atol=1e-6)


# A model as the README makes one: the mask of the target arrives at the logits.

SOURCE_IDS, TARGET_IDS, RATE = 9, 6, 0.5
SOURCE = np.array([[3, 4, 5, 0], [6, 7, 8, 2], [5, 0, 0, 0]])
TARGET = np.array([[2, 3, 4, 0, 0], [2, 5, 3, 4, 5], [2, 3, 0, 0, 0]])
NEXT = np.array([[3, 4, 1, 0, 0], [5, 3, 4, 5, 1], [3, 1, 0, 0, 0]])


def model_of_the_readme(dtype="float32"):
    lengths = (None, None)
    source, target = (keras.Input((length,), dtype="int32") for length in lengths)
    encoded = keras.layers.Embedding(SOURCE_IDS, 4, mask_zero=True, dtype=dtype)(source)
    asking = keras.layers.Embedding(TARGET_IDS, 3, mask_zero=True, dtype=dtype)(target)
    context, _ = BahdanauAttention(units=5, dtype=dtype)(asking, encoded)
    logits = keras.layers.Dense(TARGET_IDS, dtype=dtype, name="logits")(context)
    return keras.Model([source, target], [logits, context])


def step_by_hand(model, weights, tokens):
    """Kernel and bias of the last layer after a step of SGD, by the formula of softmax regression."""
    kernel, bias = map(array, model.get_layer("logits").weights)
    logits, context = map(array, model([SOURCE, TARGET]))
    odds = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    slope = (odds - np.eye(TARGET_IDS)[NEXT]) * weights[..., None] / tokens
    return kernel - RATE * np.einsum("btd,btv->dv", context, slope), bias - RATE * slope.sum((0, 1))


def step_by_fit(model, loss, labels=NEXT, jit_compile=False, **arguments):
    """Kernel and bias of the last layer after a step of `fit`, of SGD."""
    model = keras.Model(model.inputs, model.outputs[0])
    model.compile(keras.optimizers.SGD(RATE), loss, jit_compile=jit_compile)
    model.fit([SOURCE, TARGET], labels, batch_size=3, shuffle=False, verbose=0, **arguments)
    return [array(weights) for weights in model.get_layer("logits").weights]


LIVE = (NEXT != 0).astype("float32")
LOSSES = {
    "ours": MaskedCrossentropy,
    "Keras' own": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "Keras' own that ignores padding": keras_own,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_step_of_the_readmes_model_is_the_step_by_hand(loss):
    model = model_of_the_readme()
    expected = step_by_hand(model, LIVE, LIVE.sum())
    for ours, theirs in zip(step_by_fit(model, LOSSES[loss]()), expected, strict=True):
        assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("weights", [ROWS, TOKENS], ids=["rows", "tokens"])
def test_weighted_step_of_the_readmes_model_is_the_step_by_hand(weights):
    model = model_of_the_readme()
    expected = step_by_hand(model, LIVE * weights.reshape(3, -1), LIVE.sum())
    steps = step_by_fit(model, MaskedCrossentropy(), sample_weight=weights)
    for ours, theirs in zip(steps, expected, strict=True):
        assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(("dtype", "jit_compile"), [("mixed_bfloat16", False), ("float32", True)])
def test_weighted_step_is_the_same_in_mixed_precision_and_compiled(dtype, jit_compile):
    if BACKEND == "torch" and jit_compile:
        pytest.skip("torch.compile needs a compiler of C++")
    model = model_of_the_readme(dtype)
    expected = step_by_hand(model, LIVE * ROWS[:, None], LIVE.sum())
    steps = step_by_fit(model, MaskedCrossentropy(), sample_weight=ROWS, jit_compile=jit_compile)
    for ours, theirs in zip(steps, expected, strict=True):
        assert_allclose(ours, theirs, atol=2e-2 if dtype == "mixed_bfloat16" else 1e-5)


def test_class_weights_weigh_tokens_of_a_class_where_labels_are_a_column():
    model, weights = model_of_the_readme(), {1: 0.0, 3: 2.0, 5: 1.0}
    of_tokens = np.vectorize(lambda label: weights.get(label, 1.0))(NEXT)
    expected = step_by_hand(model, LIVE * of_tokens, LIVE.sum())
    if BACKEND == "tensorflow":  # of tf.data, Keras makes one weight a token
        import tensorflow as tf

        batch = tf.data.Dataset.from_tensors(((SOURCE, TARGET), NEXT[..., None]))
        model = keras.Model(model.inputs, model.outputs[0])
        model.compile(keras.optimizers.SGD(RATE), MaskedCrossentropy())
        model.fit(batch, class_weight=weights, verbose=0)
        steps = [array(weights) for weights in model.get_layer("logits").weights]
    else:
        steps = step_by_fit(model, MaskedCrossentropy(), NEXT[..., None], sample_weight=of_tokens)
    for ours, theirs in zip(steps, expected, strict=True):
        assert_allclose(ours, theirs, atol=1e-5)


def test_class_weights_are_what_they_are_for_keras_own_loss():
    first, labels = NEXT[:, :1], {3: 2.0, 5: 0.0}
    steps = []
    for loss in (MaskedCrossentropy(), keras_own()):
        begin_anew(1)
        model = keras.Sequential([keras.layers.Embedding(TARGET_IDS, 4), keras.layers.Dense(TARGET_IDS)])
        model.compile(keras.optimizers.SGD(RATE), loss)
        model.fit(TARGET[:, 1:2], first, class_weight=labels, batch_size=3, shuffle=False, verbose=0)
        steps.append([array(weights) for weights in model.weights])
    for ours, theirs in zip(*steps, strict=True):
        assert_allclose(ours, theirs, atol=1e-6)


# Metrics.

# Right are all tokens of rows 0 and 1 but the last of row 1, and none of row 2.
PREDICTED = np.array([[1, 2, 4, 5, 5], [3, 1, 2, 2, 3], [1, 1, 1, 1, 1]])
CONFIDENT = np.eye(6, dtype="float32")[PREDICTED]
ALL = np.ones((3, 5), bool)


def masked_at(*places):
    mask = ALL.copy()
    for place in places:
        mask[place] = False
    return mask


@pytest.mark.parametrize(
    ("weights", "mask", "expected"),
    [
        (None, None, 1 / 3),
        (np.array([1.0, 2.0, 1.0]), None, 1 / 4),
        (np.array([[1.0], [2.0], [0.0]]), None, 1 / 3),
        (masked_at((1, 4)).astype("float32"), None, 2 / 3),  # the wrong token of row 1 does not count
        (masked_at(2).astype("float32"), None, 1 / 2),
        (masked_at(2, (1, 4)).astype("float32") * 3, None, 1.0),
        (None, masked_at((1, 4)), 2 / 3),
        (None, masked_at(2), 1 / 2),
        (np.array([1.0, 3.0, 4.0]), masked_at((1, 4)), 1 / 2),
    ],
)
def test_exact_match_counts_rows_by_the_tokens_that_count(weights, mask, expected):
    metric = ExactMatch()
    metric.update_state(LABELS, logits_of(CONFIDENT, mask), weights)
    assert_allclose(float(metric.result()), expected, rtol=1e-6)


@MASKED
@pytest.mark.parametrize("weights", [None, ROWS, ROWS[:, None]], ids=["none", "rows", "columns"])
def test_exact_match_of_single_tokens_is_the_accuracy_of_keras(weights, masked):
    metric, theirs = ExactMatch(), keras.metrics.SparseCategoricalAccuracy()
    mask = np.array([[True], [True], [not masked]])
    of_keras = None if weights is None else weights.reshape(3, 1)
    metric.update_state(LABELS[:, :1], logits_of(CONFIDENT[:, :1], mask), weights)
    theirs.update_state(LABELS[:, :1], logits_of(CONFIDENT[:, :1], mask), of_keras)
    assert_allclose(float(metric.result()), float(theirs.result()), rtol=1e-6)


@pytest.mark.parametrize(
    ("weights", "mask", "expected"),
    [(None, None, 9), (ROWS, None, 11.5), (ROWS[:, None], None, 11.5), (None, MASK, 6), (ROWS, MASK, 7.0)],
)
def test_tokens_are_counted_by_weight_and_mask(weights, mask, expected):
    metric = Tokens()
    metric.update_state(LABELS, logits_of(LOGITS, mask), weights)
    assert float(metric.result()) == expected


def test_fit_and_evaluate_give_weights_to_weighted_metrics_alone():
    model = keras.Sequential([keras.layers.Embedding(6, 6, mask_zero=True)])
    model.build((None, None))
    model.set_weights([np.eye(6, dtype="float32")])
    model.compile("sgd", MaskedCrossentropy(), metrics=[Tokens()], weighted_metrics=[ExactMatch()])
    inputs, weights = np.where(LABELS == 0, 0, PREDICTED), np.array([1.0, 2.0, 1.0], "float32")
    results = model.evaluate(inputs, LABELS, sample_weight=weights, return_dict=True, verbose=0)
    assert (results["tokens"], results["exact_match"]) == (9, 0.25)
    history = model.fit(inputs, LABELS, sample_weight=weights, batch_size=3, verbose=0).history
    assert (history["tokens"], history["exact_match"]) == ([9], [0.25])


@pytest.mark.parametrize("weights", [None, ROWS, TOKENS], ids=["none", "rows", "tokens"])
def test_validation_is_the_weighted_mean_over_the_tokens(weights):
    model = keras.Sequential([keras.layers.Embedding(9, 6, mask_zero=True)])
    inputs, logs = np.array([[2, 3, 0, 5, 6], [1, 1, 1, 1, 0], [2, 0, 0, 0, 0]]), {}
    batch = (inputs, LABELS) if weights is None else (inputs, LABELS, weights)
    validation = Validation([batch, batch])
    validation.set_model(model)
    validation.on_epoch_end(0, logs)
    loss = MaskedCrossentropy(reduction="mean_with_sample_weight")
    assert_allclose(logs["val_loss"], float(loss(LABELS, model(inputs), weights)), rtol=1e-5)
