"""The recommender: names in, names out, nothing twice; cold starts; saved and exported; trained."""

import keras
import numpy as np
import pytest

from keras_attention import Recommender, load
from keras_attention.data import HeldOut, leave_one_out
from keras_attention.models import SASRec
from keras_attention.recipes import train_recommender
from keras_attention.text.vocabulary import Vocabulary
from tests.laws.cases import ITEM_IDS, RECOMMENDATION_MODELS, USER_IDS

NAMES = ["tea", "coffee", "milk", "sugar", "bread", "jam", "Käse"]
USERS = ["ada", "bob", "eve"]
EVERY = pytest.mark.parametrize("name", RECOMMENDATION_MODELS)
assert len(NAMES) + 4 == ITEM_IDS
assert len(USERS) + 4 == USER_IDS


def made(name, best=3):
    keras.utils.set_random_seed(1)
    model = RECOMMENDATION_MODELS[name]()
    model.popularity.assign([0, 0, 0, 0, *range(7, 0, -1)])
    return Recommender(model, Vocabulary(NAMES), Vocabulary(USERS) if model.has_users else None, best=best)


def user_of(recommender, *names):
    return {"user": list(names) if len(names) > 1 else names[0]} if recommender.has_users else {}


@EVERY
def test_names_in_names_out_and_nothing_twice(name):
    recommender = made(name)
    one = recommender(["tea", "bread"], **user_of(recommender, "ada"))
    assert len(set(one.items)) == 3
    assert not {"tea", "bread"} & set(one.items)
    assert (np.diff(one.scores) <= 0).all()
    assert one.weights.shape[-1] == 2
    np.testing.assert_allclose(one.weights.sum(-1), 1, atol=1e-5)
    several = recommender([["tea", "bread"], ["jam"] * 9], **user_of(recommender, "ada", "bob"))
    assert several[0].items == one.items
    np.testing.assert_allclose(several[0].scores, one.scores, atol=1e-5)
    assert several[1].weights.shape[-1] == 9


@EVERY
def test_a_cold_start_gets_what_is_chosen_most(name):
    recommender = made(name)
    assert recommender([], **user_of(recommender, "ada")).items == NAMES[:3]
    both = recommender([[], ["tea"]], **user_of(recommender, "ada", "bob"))
    assert both[0].items == NAMES[:3]


def test_where_all_is_seen_there_is_nothing_left():
    recommender = made("SASRec", best=10)
    assert recommender(NAMES[:5]).items != []
    assert set(recommender(NAMES[:5]).items) == {"jam", "Käse"}
    assert recommender(NAMES).items == []


def test_what_is_unknown_is_named():
    recommender = made("profiles")
    with pytest.raises(ValueError, match="there is no item 'gin' among the 7 that it was trained with"):
        recommender(["tea", "gin"], user="ada")
    with pytest.raises(ValueError, match="there is no user 'max' among the 3"):
        recommender(["tea"], user="max")
    with pytest.raises(ValueError, match="give user, whose profile"):
        recommender(["tea"])
    with pytest.raises(ValueError, match="it knows no users"):
        made("SASRec")(["tea"], user="ada")
    with pytest.raises(ValueError, match="Received 2 histories and 1 users"):
        recommender([["tea"], ["jam"]], user=["ada"])
    for history in ([["tea", 3]], ["tea", 3], [3]):
        with pytest.raises(TypeError, match=r"items must be strings\. Received 3"):
            made("SASRec")(history)
    with pytest.raises(ValueError, match="the model has 11 ids of items, and their vocabulary 5"):
        Recommender(SASRec(11), Vocabulary(["tea"]))


@pytest.mark.parametrize("name", ["SASRec", "profiles", "interest"])
def test_saved_and_exported_it_recommends_the_same(name, tmp_path, unchecked):
    recommender = made(name)
    recommender.save(tmp_path / "run")
    version = recommender.export(tmp_path / "model")
    expected = recommender(["tea", "bread"], **user_of(recommender, "ada"))
    for other in (load(tmp_path / "run"), load(version)):
        received = other(["tea", "bread"], **user_of(recommender, "ada"))
        assert received.items == expected.items
        np.testing.assert_allclose(received.scores, expected.scores, atol=1e-5)
        np.testing.assert_allclose(received.weights, expected.weights, atol=1e-5)
    # An export leaves out what it does not know, and takes the mean profile for another user.
    left_out = load(version)(["gin", "tea", "bread"], **user_of(recommender, "ada"))
    assert left_out.items == expected.items
    assert load(version)(["tea"], **user_of(recommender, "max")).items


def chains(count=60):
    """Users who go round the shop, each from where they begin."""
    generator = np.random.default_rng(0)
    starts, lengths = generator.integers(0, 7, count), generator.integers(5, 9, count)
    return {f"user {row}": [NAMES[(starts[row] + step) % 7] for step in range(lengths[row])] for row in range(count)}


def test_every_item_that_is_learned_counts_alike_whatever_its_batch(tmp_path):
    histories = {"ada": ["tea", "milk"], "bob": ["tea", "jam", "tea", "milk", "jam"]}
    validation = [HeldOut("ada", ["tea", "milk"], "jam", [])]
    network = train_recommender(histories, validation, tmp_path, epochs=1, units=4, verbose=0).model
    batch = {
        "history": np.array([[4, 0, 0, 0], [4, 5, 4, 6]]),
        "next": np.array([[6, 0, 0, 0], [5, 4, 6, 5]]),
        "negatives": np.array([5, 6, 4]),
    }

    def loss_of(rows):
        inputs = batch | {name: batch[name][rows] for name in ("history", "next")}
        counts = (inputs["next"] > 0).astype("float32")
        return network.test_on_batch(inputs, np.zeros_like(inputs["next"]), counts)

    np.testing.assert_allclose(loss_of([0]) + loss_of([1]), loss_of([0, 1]), rtol=1e-5)


def test_it_learns_who_comes_after_whom_and_goes_on_where_it_was_stopped(tmp_path):
    histories, validation, test = leave_one_out({user: items[:6] for user, items in chains().items()})
    arguments = {"units": 8, "dropout": 0.0, "max_length": 5, "batch_size": 32, "negatives": 20, "learning_rate": 0.05}
    kept = {"verbose": 0, **arguments}
    with pytest.raises(KeyboardInterrupt):
        train_recommender(histories, validation, tmp_path / "run", epochs=8, callbacks=[_Stop(4)], **kept)
    recommender = train_recommender(histories, validation, tmp_path / "run", epochs=8, **kept)
    whole = train_recommender(histories, validation, tmp_path / "whole", epochs=8, **kept)
    for one, other in zip(recommender.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    # Of seven items in a ring that a user has seen five or fewer, the next is plain.
    assert recommender.evaluate(test)["ndcg"] > 0.95
    assert recommender.evaluate(test, sampled=2)["hit_rate"] == 1.0
    assert recommender(["milk", "sugar"]).items[0] == "bread"
    with pytest.raises(ValueError, match="units was 8 and is 9 now"):
        train_recommender(histories, validation, tmp_path / "run", epochs=8, **(kept | {"units": 9}))


class _Stop(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self._epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self._epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("model", ["profiles", "interest"])
def test_the_other_models_are_trained_alike(model, tmp_path, eagerly):
    histories, validation, _ = leave_one_out(chains(12))
    profiles = {"user_profiles": {user: [1.0, 0.0] for user in histories}} if model == "profiles" else {}
    profiles |= {"item_profiles": {name: [float(index)] for index, name in enumerate(NAMES)}} if profiles else {}
    recommender = train_recommender(
        histories, validation, tmp_path, model=model, epochs=2, negatives=4, units=4, verbose=0, **profiles
    )
    recommended = load(tmp_path)(["tea"], **user_of(recommender, "user 3"))
    assert recommended.items == recommender(["tea"], **user_of(recommender, "user 3")).items
    assert 0 <= recommender.evaluate(validation)["ndcg"] <= 1


def test_a_ranking_counts_half_of_what_has_one_score_and_lets_an_item_come_again():
    recommender = made("SASRec")
    for weight in recommender.model.trainable_weights:
        weight.assign(0 * weight)  # every item has one score
    found = recommender.evaluate([HeldOut("ada", ["tea"], "milk", ["tea"])], at=3)
    assert found["hit_rate"] == 1.0  # five others of seven, of which 2.5 come first
    assert recommender.evaluate([HeldOut("ada", ["tea"], "milk", ["tea"])], at=2)["hit_rate"] == 0.0
    assert recommender.evaluate([HeldOut("ada", [], "milk", [])], at=3)["hit_rate"] == 1.0  # the third by popularity
    again = recommender.evaluate([HeldOut("ada", ["tea", "jam"], "tea", ["tea"])], at=3)
    assert again["hit_rate"] == 1.0


def test_what_nobody_chose_is_in_the_catalogue(tmp_path, eagerly):
    histories, validation, _ = leave_one_out(chains(12))
    recommender = train_recommender(histories, validation, tmp_path, items=["gin"], epochs=1, units=4, verbose=0)
    assert "gin" in recommender.items.tokens
    assert recommender.evaluate([HeldOut("ada", ["tea"], "gin", [])])["hit_rate"] == 1.0  # among eight


def test_what_makes_no_sense_is_refused(tmp_path):
    histories, validation, test = leave_one_out(chains(12))
    with pytest.raises(ValueError, match=r"model must be one of 'sasrec', 'interest', 'profiles'\. Received 'mf'"):
        train_recommender(histories, validation, tmp_path, model="mf")
    with pytest.raises(ValueError, match=r"needs user_profiles, a vector for each\. Missing: 'user 0'"):
        train_recommender(histories, validation, tmp_path, model="profiles")
    recommender = made("SASRec")
    with pytest.raises(ValueError, match="expected at least one item"):
        recommender.evaluate([])
    with pytest.raises(ValueError, match="7 items leave fewer than 100"):
        recommender.evaluate(test, sampled=100)
    with pytest.raises(ValueError, match="there is no item 'gin'"):
        recommender.evaluate([HeldOut("ada", ["tea"], "gin", [])])
