"""The recipe for recommenders."""

import collections
import dataclasses
import os
import pathlib
import zlib
from collections.abc import Sequence

import keras
import numpy as np

from keras_attention.data.histories import HistoryBatches
from keras_attention.models import DeepInterestNetwork, ProfileRecommender, SASRec
from keras_attention.recipes.begins import split_given
from keras_attention.settings import RecommenderSettings
from keras_attention.tasks import Recommender
from keras_attention.text.vocabulary import SPECIAL_TOKENS, UNKNOWN_ID, Vocabulary
from keras_attention.training.checkpoints import Checkpoints
from keras_attention.training.runs import begun, described_model, described_pairs, fit_rounds, keep_best

RECOMMENDERS = {"sasrec": SASRec, "interest": DeepInterestNetwork, "profiles": ProfileRecommender}


def train_recommender(
    histories,
    validation,
    folder: str | os.PathLike,
    settings=None,
    model: str = "sasrec",
    items=(),
    user_profiles=None,
    item_profiles=None,
    may_change: Sequence[str] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    **given,
) -> Recommender:
    """Trains a recommender on what users chose, and can be stopped at any moment.

    Each item that came is compared with others, drawn at random, in a
    crossentropy. The result is the round that ranks `validation` best. See
    `train_converter` for what is kept in the folder.

    Args:
        histories: dict of lists of items by user, the oldest first.
        validation: list of `HeldOut`.
        folder: where checkpoints are kept and the result is saved.
        settings: a `RecommenderSettings`.
        model: `"sasrec"`, `"interest"` (`DeepInterestNetwork`) or `"profiles"`
            (`ProfileRecommender`).
        items: further items of the catalogue, which nobody has chosen so far.
        user_profiles: dict of vectors by user, for `"profiles"`.
        item_profiles: dict of vectors by item, for `"profiles"`; items that
            nobody chose may be among them.
        may_change: see `train_converter`.
        callbacks: Keras callbacks.
        verbose: as in `fit`.
        **given: fields of `RecommenderSettings`, instead of the record; and
            arguments of the model, such as `units`.

    Returns:
        A `Recommender`, which is also saved in the folder.

    Raises:
        ValueError: for another model, no history of two items, nothing to
            validate with, or profiles that are missing.
        FloatingPointError: if the loss is not a number any more.

    Reference: Kang and McAuley 2018, "Self-Attentive Sequential Recommendation";
        Klenitskiy and Vasilev 2023, "Turning Dross Into Gold Loss: is BERT4Rec
        really better than SASRec?", for the crossentropy over many negatives.
    """
    if model not in RECOMMENDERS:
        raise ValueError(
            f"train_recommender: model must be one of {', '.join(map(repr, RECOMMENDERS))}. Received {model!r}."
        )
    settings, model_arguments = split_given(RecommenderSettings, settings, given)
    counts = _chosen(histories, [*(each.item for each in validation), *items, *(item_profiles or ())])
    vocabularies = {"users": Vocabulary(histories), "items": Vocabulary.of_counts(counts)}
    profiles = {}
    if RECOMMENDERS[model].has_users:
        given_profiles = {"users": user_profiles, "items": item_profiles}
        profiles = {side: _profiles(side, vocabularies[side], given_profiles[side]) for side in vocabularies}
    keras.utils.set_random_seed(settings.seed)
    network = _network(RECOMMENDERS[model], vocabularies, counts, profiles, settings, model_arguments)
    recommender = Recommender(network, **vocabularies)
    batches = _batches(network, histories, vocabularies["items"], settings)
    _compile(network, settings, batches.learned_per_batch)
    place = pathlib.Path(folder) / "checkpoints"
    checkpoints = Checkpoints(place, keep=1, monitor="val_ndcg", mode="max", patience=settings.patience)
    record = _record(histories, validation, vocabularies, profiles, settings, network)
    with begun(folder, "train_recommender", record, checkpoints, may_change):
        fit_rounds(
            "train_recommender",
            network,
            batches,
            checkpoints,
            settings.epochs * batches.steps_per_epoch,
            callbacks=[*callbacks, _Ranks(recommender, _drawn(validation, settings), settings.sampled or None)],
            task=recommender,
            verbose=verbose,
        )
        sentence = keep_best(network, checkpoints)
    if verbose:
        print(sentence)
    recommender.save(folder)
    return recommender


def _chosen(histories, others):
    """How often each item was chosen; the others, which may be among them, are known too."""
    counts = collections.Counter(item for chosen in histories.values() for item in chosen)
    counts.update(dict.fromkeys(others, 0))
    return counts


def _record(histories, validation, vocabularies, profiles, settings, network):
    """What a training is begun with, by the names of the arguments."""
    return {
        "histories": described_pairs((user, "\n".join(chosen)) for user, chosen in histories.items()),
        "validation": described_pairs((each.user, f"{chr(10).join(each.history)}\n{each.item}") for each in validation),
        **{side: f"{len(known):,} ids, {known.fingerprint:08x}" for side, known in vocabularies.items()},
        **{f"{side}_profiles": f"checksum {zlib.crc32(array.tobytes()):08x}" for side, array in profiles.items()},
        **dataclasses.asdict(settings),
        **described_model(network),
    }


def _network(kind, vocabularies, counts, profiles, settings, arguments):
    """The model that is not trained yet, with profiles and popularity."""
    items = vocabularies["items"]
    if profiles:
        sizes = {"users": profiles["users"].shape, "item_profile_dim": profiles["items"].shape[1]}
        arguments = sizes | arguments
    network = kind(len(items), seed=settings.seed, **arguments)
    if profiles:
        network.set_profiles(profiles["users"], profiles["items"])
    chosen = np.array([counts[name] for name in items.tokens])
    network.popularity.assign(np.log(chosen + 0.5))
    return network


def _compile(network, settings, learned_per_batch):
    """Every item that is learned counts alike, whatever the batch that it is in."""
    network.compile(
        keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay, beta_2=0.98),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
        loss_weights=1.0 / learned_per_batch,
    )


def _batches(network, histories, items, settings):
    number = {name: id for id, name in enumerate(items.tokens)}
    first = len(SPECIAL_TOKENS)
    return HistoryBatches(
        [[number[item] for item in chosen] for chosen in histories.values()],
        list(range(first, first + len(histories))) if network.has_users else None,
        len(items),
        network.max_length,
        settings.batch_size,
        settings.negatives,
        network.every_position,
        settings.seed,
    )


def _drawn(validation, settings):
    """Those that are ranked after each round, drawn at random: the first of a file may be unlike the rest."""
    order = np.random.default_rng(settings.seed).permutation(len(validation))
    return [validation[index] for index in order[: settings.measured]]


class _Ranks(keras.callbacks.Callback):
    """Ranks the validation items after each round."""

    def __init__(self, recommender, measured, sampled):
        super().__init__()
        self._recommender = recommender
        self._measured = measured
        self._sampled = sampled

    def on_epoch_end(self, epoch, logs=None):
        found = self._recommender.evaluate(self._measured, self._sampled)
        logs.update({f"val_{name}": value for name, value in found.items()})


def _profiles(side, vocabulary, profiles):
    """The vectors of a vocabulary's names, `(ids, width)`; that of the unknown is their mean."""
    names = vocabulary.tokens[len(SPECIAL_TOKENS) :]
    missing = [name for name in names if name not in (profiles or {})]
    if missing:
        raise ValueError(
            f"train_recommender: a model of profiles needs {side[:-1]}_profiles, a vector for each. Missing: "
            f"{', '.join(map(repr, missing[:5]))}."
        )
    vectors = np.array([profiles[name] for name in names], "float32")
    special = np.zeros((len(SPECIAL_TOKENS), vectors.shape[1]), "float32")
    special[UNKNOWN_ID] = vectors.mean(0)
    return np.concatenate([special, vectors])
