"""The laws of memory networks: the paper's sums, padding anywhere, files, training, compilation."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from keras_attention.models import MemoryNetwork
from tests.laws.cases import MEMORY_NETWORKS, STORY_IDS
from tests.laws.tools import array, assert_close, assert_same, dtype_of, ids, jitted_on_jax, only_tensorflow

BATCH, SENTENCES, WORDS = 2, 5, 4
EVERY = pytest.mark.parametrize("name", MEMORY_NETWORKS)


def story_inputs():
    """Stories of five and of three sentences, of four words or fewer."""
    story = ids(BATCH, SENTENCES, WORDS, high=STORY_IDS)
    story[1, 3:] = 0
    story[:, ::2, 3] = 0
    question = ids(BATCH, 3, high=STORY_IDS, seed=1)
    question[0, 2] = 0
    return {"story": story, "question": question}


def with_weights_that_matter(model):
    """The model with larger weights, so that attention prefers something."""
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(size=weight.shape).astype("float32") for weight in model.get_weights()])
    return model


def weighed(embedding, row, age=None):
    """The sum of a sentence's words and of its age, the last of them, by the formula: j and k from 1."""
    vectors = [embedding[word] for word in row if word]
    count, units = len(vectors) + 1, embedding.shape[1]
    vectors += [] if age is None else [age]
    total = np.zeros(units)
    for j, vector in enumerate(vectors, start=1):
        of_unit, of_place = 2 * np.arange(1, units + 1) - units - 1, 2 * j - count - 1
        total += (1 + of_unit * of_place / (units * count)) * vector
    return total


@pytest.mark.parametrize("places", [0, 5, 9], ids=["no empty places", "some", "many"])
def test_one_hop_is_the_papers_sums(places):
    model = with_weights_that_matter(
        MemoryNetwork(STORY_IDS, 6, hops=1, time_noise=0, max_sentences=max(places, 5), empty_places=places > 0)
    )
    inputs = story_inputs()
    logits, weights = map(array, model.attend(inputs))
    a, c = map(array, model.embeddings)
    age_a, age_c = map(array, model.ages)
    for row in range(BATCH):
        sentences = [sentence for sentence in inputs["story"][row] if sentence.any()]
        ages = range(len(sentences))[::-1]
        keys = np.array([weighed(a, each, age_a[age]) for each, age in zip(sentences, ages, strict=True)])
        values = np.array([weighed(c, each, age_c[age]) for each, age in zip(sentences, ages, strict=True)])
        query = weighed(a, inputs["question"][row])
        scores = keys @ query
        highest = max(scores.max(), 0.0)
        empty = (max(places, 5) - len(sentences)) * np.exp(-highest) * (places > 0)  # score 0, value 0
        expected = np.exp(scores - highest) / (np.exp(scores - highest).sum() + empty)
        assert_allclose(weights[row, 0, : len(sentences)], expected, atol=1e-4)
        assert_allclose(logits[row], c @ (query + expected @ values), rtol=1e-3, atol=1e-3)


@EVERY
@pytest.mark.parametrize("places", [(0, 1), (2, 4), (5, 6)], ids=["in front", "between", "behind"])
def test_padding_changes_nothing_wherever_it_stands(name, places):
    model, inputs = with_weights_that_matter(MEMORY_NETWORKS[name]()), story_inputs()
    kept = [place for place in range(SENTENCES + 2) if place not in places]
    story = np.zeros((BATCH, SENTENCES + 2, WORDS + 2), "int32")
    story[:, kept, 1:-1] = inputs["story"]
    question = np.pad(inputs["question"], ((0, 0), (1, 2)))
    attend = jitted_on_jax(model.attend)
    expected_logits, expected_weights = attend(inputs)
    logits, weights = attend({"story": story, "question": question})
    assert_close(logits, expected_logits, atol=1e-3)
    assert_close(array(weights)[:, :, kept], expected_weights, atol=1e-4)
    assert_same(array(weights)[:, :, list(places)], 0)


@EVERY
def test_unknown_words_say_nothing_and_old_sentences_are_not_read(name):
    model, inputs = with_weights_that_matter(MEMORY_NETWORKS[name](max_sentences=4)), story_inputs()
    attend = jitted_on_jax(model.attend)
    logits, weights = attend(inputs)
    assert_same(array(weights)[0, :, 0], 0)  # the fifth of five
    assert (array(weights)[1, :, 0] > 0).all()  # the third of three
    other = {"story": inputs["story"].copy(), "question": inputs["question"]}
    other["story"][0, 0] = 3
    assert_close(attend(other)[0], logits)
    silent = inputs | {"question": np.where(inputs["question"] > 0, 1, 0)}
    assert np.isfinite(array(attend(silent)[0])).all()


@EVERY
def test_linear_start_has_scores_for_weights(name):
    model, inputs = with_weights_that_matter(MEMORY_NETWORKS[name](hops=1)), story_inputs()
    model.empty_places = False  # so that the softmax is over the sentences
    probabilities = array(model.attend(inputs)[1])
    model.linear = True
    scores = array(model.attend(inputs)[1])
    assert_same(scores[1, 0, 3:], 0)
    for row, count in ((0, 5), (1, 3)):
        exponentials = np.exp(scores[row, 0, :count] - scores[row, 0, :count].max())
        assert_allclose(exponentials / exponentials.sum(), probabilities[row, 0, :count], atol=1e-4)


@EVERY
def test_it_learns_and_comes_back_from_a_file(name, tmp_path):
    model, inputs = MEMORY_NETWORKS[name](), story_inputs()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
    losses = model.fit(inputs, np.array([4, 5]), epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    assert_same(again(inputs), model(inputs))


@EVERY
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_finite(name, policy):
    model = MEMORY_NETWORKS[name](dtype=policy)
    logits, weights = jitted_on_jax(model.attend)(story_inputs())
    assert dtype_of(logits) == dtype_of(weights) == model.compute_dtype
    assert np.isfinite(array(ops.cast(logits, "float32"))).all()


def test_noise_makes_sentences_older_in_training_alone():
    model, inputs = with_weights_that_matter(MemoryNetwork(STORY_IDS, units=6, time_noise=0.5, seed=1)), story_inputs()
    calm = array(model(inputs))
    assert_same(model(inputs), calm)
    assert any(np.abs(array(model(inputs, training=True)) - calm).max() > 1e-3 for _ in range(5))


@only_tensorflow
@EVERY
def test_compiled_is_not_compiled(name):
    import tensorflow as tf

    model, inputs = with_weights_that_matter(MEMORY_NETWORKS[name]()), story_inputs()
    specs = {"story": tf.TensorSpec([None, None, None], tf.int32), "question": tf.TensorSpec([None, None], tf.int32)}
    expected = model.attend(inputs)
    for jit in (False, True):
        received = tf.function(model.attend, input_signature=[specs], jit_compile=jit, autograph=False)(inputs)
        for one, other in zip(received, expected, strict=True):
            assert_allclose(one, other, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"hops": 0}, "hops must be at least 1. Received 0"), ({"tying": "all"}, "tying must be")],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MemoryNetwork(9, **arguments)
