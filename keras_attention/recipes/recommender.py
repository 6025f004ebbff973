"""The recipe for recommenders."""

import collections
import dataclasses
import pathlib
import zlib

import keras
import numpy as np

from keras_attention.data.histories import HistoryBatches
from keras_attention.models import DeepInterestNetwork, ProfileRecommender, SASRec
from keras_attention.recipes.begins import split_given
from keras_attention.settings import RecommenderSettings
from keras_attention.tasks import Recommender
from keras_attention.text.vocabulary import Vocabulary
from keras_attention.training.checkpoints import Checkpoints
from keras_attention.training.runs import begun, described_model, fit_rounds, keep_best

RECOMMENDERS = {"sasrec": SASRec, "interest": DeepInterestNetwork, "profiles": ProfileRecommender}


def train_recommender(
    histories,
    validation,
    folder,
    settings=None,
    model="sasrec",
    items=(),
    user_profiles=None,
    item_profiles=None,
    may_change=(),
    callbacks=(),
    verbose="auto",
    **given,
):
    """Trains a recommender on what users chose, and can be stopped at any moment.

    Each item that came is compared with others, drawn at random, in a
    crossentropy. The result is the round that is best in the full ranking of
    `validation`. See `train_converter` for what is kept in the folder.

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
    folder = pathlib.Path(folder)
    counts = collections.Counter(item for items in histories.values() for item in items)
    counts.update({each.item: 0 for each in validation})
    counts.update(dict.fromkeys([*items, *(item_profiles or ())], 0))
    items = Vocabulary.of_counts(counts)
    users = Vocabulary(histories)
    kind = RECOMMENDERS[model]
    arrays = ()
    if kind.has_users:
        arrays = [
            _profiles(name, vocabulary, given_profiles)
            for name, vocabulary, given_profiles in (("user", users, user_profiles), ("item", items, item_profiles))
        ]
        model_arguments = {"users": arrays[0].shape, "item_profile_dim": arrays[1].shape[1]} | model_arguments
    keras.utils.set_random_seed(settings.seed)
    network = kind(len(items), seed=settings.seed, **model_arguments)
    if arrays:
        network.set_profiles(*arrays)
    network.popularity.assign(np.log([1e-6, 1e-6, 1e-6, 1e-6, *(counts[name] + 0.5 for name in items.tokens[4:])]))
    recommender = Recommender(network, items, users)
    number = {name: id for id, name in enumerate(items.tokens)}
    batches = HistoryBatches(
        [[number[item] for item in chosen] for chosen in histories.values()],
        list(range(4, 4 + len(histories))) if kind.has_users else None,
        len(items),
        network.max_length,
        settings.batch_size,
        settings.negatives,
        kind.every_position,
        settings.seed,
    )
    network.compile(
        keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay, beta_2=0.98),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight"),
    )
    checkpoints = Checkpoints(
        folder / "checkpoints", keep=1, monitor="val_ndcg", mode="max", patience=settings.patience
    )
    measured = list(validation)[: settings.measured]
    record = {
        "histories": _described(histories),
        "validation": f"{len(validation):,} users",
        **dataclasses.asdict(settings),
        **described_model(network),
    }
    with begun(folder, "train_recommender", record, checkpoints, may_change):
        fit_rounds(
            "train_recommender",
            network,
            batches,
            checkpoints,
            settings.epochs * batches.steps_per_epoch,
            callbacks=[*callbacks, _Ranks(recommender, measured)],
            verbose=verbose,
        )
        sentence = keep_best(network, checkpoints)
    if verbose:
        print(sentence)
    recommender.save(folder)
    return recommender


class _Ranks(keras.callbacks.Callback):
    """Ranks the validation items after each epoch."""

    def __init__(self, recommender, measured):
        super().__init__()
        self._recommender = recommender
        self._measured = measured

    def on_epoch_end(self, epoch, logs=None):
        found = self._recommender.evaluate(self._measured)
        logs.update({f"val_{name}": value for name, value in found.items()})


def _profiles(kind, vocabulary, profiles):
    """The vectors of a vocabulary's names, `(ids, width)`; that of the unknown is their mean."""
    names = vocabulary.tokens[4:]
    missing = [name for name in names if name not in (profiles or {})]
    if missing:
        raise ValueError(
            f"train_recommender: a model of profiles needs {kind}_profiles, a vector for each. Missing: "
            f"{', '.join(map(repr, missing[:5]))}."
        )
    vectors = np.array([profiles[name] for name in names], "float32")
    mean = vectors.mean(0)
    return np.concatenate([[0 * mean, mean, 0 * mean, 0 * mean], vectors]).astype("float32")


def _described(histories):
    checksum = 0
    for user, items in histories.items():
        checksum = zlib.crc32("\n".join([user, *items, ""]).encode("utf-8", "surrogatepass"), checksum)
    return f"{len(histories):,} users, {sum(map(len, histories.values())):,} choices, checksum {checksum:08x}"
