"""The subcommand `train recommendations`, and `evaluate` of what it trained.

What needs TensorFlow is imported inside the functions, as everywhere in this package.
"""

from keras_attention.cli.common import add_command, add_encoding, add_run, add_settings, positive, progress, settings_of
from keras_attention.settings import RecommenderSettings


def add_train_recommendations(kinds):
    train = add_command(
        kinds,
        "recommendations",
        "a recommender, on histories of users and items",
        "train recommendations choices.tsv --max-length 100 --run runs/shop",
    )
    train.add_argument(
        "file", metavar="FILE", help="file with a user and an item on each line, in order of time; plain or .gz"
    )
    add_encoding(train)
    model = train.add_argument_group("model")
    model.add_argument(
        "--model",
        choices=("sasrec", "interest"),
        default="sasrec",
        help="SASRec (self-attention) or DIN (target attention)",
    )
    model.add_argument("--units", type=positive, default=50, help="size of the item embeddings")
    model.add_argument(
        "--max-length", type=positive, default=50, help="number of latest items of a history that are read"
    )
    model.add_argument("--dropout", type=float, default=0.5, help="dropout rate")
    training = train.add_argument_group("training")
    add_run(training, "runs/recommendations")
    add_settings(training, RecommenderSettings)
    train.set_defaults(run=_train_recommendations)


def _train_recommendations(options):
    from keras_attention.data.histories import leave_one_out, read_histories
    from keras_attention.recipes import train_recommender

    histories, validation, test = leave_one_out(read_histories(options.file, options.encoding))
    if not validation:
        raise ValueError(f"{options.file} has no user of three items, one to learn from and two to hold out.")
    print(
        f"Learning from {len(histories):,} users; of {len(validation):,} the item before the last is ranked after each "
        "epoch, and the last is left for `evaluate`.",
        flush=True,
    )
    recommender = train_recommender(
        histories,
        validation,
        options.folder,
        settings_of(options, RecommenderSettings),
        options.model,
        items={each.item for each in test},
        may_change=options.may_change,
        verbose=progress(),
        **{name: getattr(options, name) for name in ("units", "max_length", "dropout")},
    )
    _print_ranking(recommender.evaluate(test), len(test))
    print(f"Saved in {options.folder}. `keras-attention export {options.folder} MODEL` makes a SavedModel of it.")


def evaluate_recommender(recommender, options):
    """Ranks the last item of each user in a file."""
    from keras_attention.data.histories import leave_one_out, read_histories

    _, _, test = leave_one_out(read_histories(options.file, options.encoding))
    if not hasattr(recommender, "evaluate"):
        raise ValueError(
            f"{options.model} is an export, which gives its best items alone. Evaluate the folder that "
            "`keras-attention train recommendations` left."
        )
    _print_ranking(recommender.evaluate(test, batch_size=options.batch_size), len(test))


def _print_ranking(found, count):
    print(
        f"Of {count:,} last items {found['hit_rate']:.2%} are among the first ten of all items (NDCG@10 "
        f"{found['ndcg']:.4f})."
    )
