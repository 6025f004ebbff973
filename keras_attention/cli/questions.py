"""The subcommand `train questions`, and `evaluate` of what it trained.

What needs TensorFlow is imported inside the functions, as everywhere in this package.
"""

from keras_attention.cli.common import add_command, add_encoding, add_run, add_settings, positive, progress, settings_of
from keras_attention.settings import AnswererSettings

MODEL_ARGUMENTS = ("hops", "units", "tying", "max_sentences")


def add_train_questions(kinds):
    train = add_command(
        kinds,
        "questions",
        "a memory network that answers questions about stories",
        "train questions qa1_single-supporting-fact_train.txt --restarts 3 --run runs/qa1",
    )
    train.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="stories in bAbI format, plain or .gz; several files are learned jointly",
    )
    train.add_argument(
        "--validation", metavar="FILE", nargs="+", help="validation stories (default: a held-out part of FILE)"
    )
    add_encoding(train)
    train.add_argument("--held-out", type=float, default=0.1, help="fraction of the questions held out for validation")
    model = train.add_argument_group("model")
    model.add_argument("--hops", type=positive, default=3, help="number of memory hops")
    model.add_argument("--units", type=positive, default=20, help="size of the embeddings")
    model.add_argument(
        "--tying", choices=("adjacent", "layerwise"), default="adjacent", help="weight tying of the embeddings"
    )
    model.add_argument(
        "--max-sentences", type=positive, default=50, help="memory size: number of latest sentences that are read"
    )
    training = train.add_argument_group("training")
    add_run(training, "runs/questions")
    add_settings(training, AnswererSettings)
    train.set_defaults(run=_train_questions)


def _train_questions(options):
    from keras_attention.data.stories import hold_out, read_stories
    from keras_attention.recipes import train_answerer

    stories = [story for file in options.files for story in read_stories(file, options.encoding)]
    if options.validation:
        held_out = [story for file in options.validation for story in read_stories(file, options.encoding)]
    else:
        stories, held_out = hold_out(stories, options.held_out, options.seed)
    print(
        f"Learning from {len(stories):,} questions; val_accuracy is measured on {len(held_out):,} others.", flush=True
    )
    train_answerer(
        stories,
        held_out,
        options.folder,
        settings_of(options, AnswererSettings),
        options.may_change,
        verbose=progress(),
        **{name: getattr(options, name) for name in MODEL_ARGUMENTS},
    )
    print(f"Saved in {options.folder}. `keras-attention export {options.folder} MODEL` makes a SavedModel of it.")


def evaluate_answerer(answerer, options):
    """Compares answers with those in a file of stories."""
    from keras_attention.data.stories import read_stories

    stories = read_stories(options.file, options.encoding)
    accuracy, mistakes = answerer.evaluate(stories, options.batch_size)
    print(f"right answers {accuracy:.2%} of {len(stories):,} questions")
    for story, received in mistakes[: options.show]:
        print(f"  {story.question!r}: expected {story.answer!r}, received {received!r}")
