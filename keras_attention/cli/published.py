"""The subcommands for models that others have published: `import`, `shortlist`, and `score` for given pairs.

What needs TensorFlow is imported inside the functions, as everywhere in this package.
"""

from keras_attention.cli.common import add_command, add_encoding, add_model, positive, setting
from keras_attention.settings import ARCHITECTURES


def add_import(commands):
    importing = add_command(
        commands,
        "import",
        "turn a published translator into a run",
        "import marian opus-mt-en-de --run runs/en_de",
        "import nllb nllb-200-distilled-600M --source-language eng_Latn --target-language deu_Latn --run runs/nllb",
        "import marian opus-mt-en-de --option num_beams=1 --run runs/en_de_greedy",
        "import tutorial-transformer annalog/ckpt_and_vocab --option tokens=smiles --run runs/molecules",
        "import keras-recurrent khmer_transliterator/weights --run runs/khmer",
    )
    importing.add_argument("architecture", choices=ARCHITECTURES, help="architecture of the model")
    importing.add_argument(
        "folder",
        metavar="FOLDER",
        help="folder as a hub has it: config.json, weights, vocabularies; or a name on Hugging Face's hub; for "
        "tutorial-transformer and keras-recurrent a folder with the weights and the pickled vocabularies",
    )
    importing.add_argument("--run", metavar="FOLDER", dest="output", required=True, help="folder to write the run to")
    importing.add_argument("--source-language", metavar="CODE", help="language of the texts, for multilingual models")
    importing.add_argument("--target-language", metavar="CODE", help="language of the results")
    importing.add_argument(
        "--option",
        metavar="NAME=VALUE",
        dest="options",
        type=setting,
        action="append",
        default=[],
        help="decoding option instead of the one in generation_config.json, such as num_beams=1; for "
        "tutorial-transformer also num_heads, tokens (smiles, characters or words) and lower",
    )
    importing.set_defaults(run=_import)


def add_shortlist(commands):
    shortlist = add_command(
        commands,
        "shortlist",
        "learn which target tokens each source token can lead to",
        "shortlist --model runs/en_de train.en train.de --output runs/en_de.shortlist.json",
        description="Writes a shortlist for `export --shortlist`: the target tokens that each source token was "
        "attended for, over a corpus. The export then decodes faster where the vocabulary is large.",
    )
    add_model(shortlist, required=True)
    shortlist.add_argument("file", metavar="FILE", help="sources, one per line; plain or .gz")
    shortlist.add_argument("targets", metavar="TARGETS", nargs="?", help="translations (default: the model's own)")
    add_encoding(shortlist)
    shortlist.add_argument("--output", metavar="FILE", required=True, help="file to write")
    shortlist.add_argument("--per-token", type=positive, default=50, help="most target tokens per source token")
    shortlist.add_argument(
        "--always", type=positive, default=200, help="number of frequent tokens that always may come"
    )
    shortlist.add_argument("--batch-size", type=positive, default=64, help="number of lines per batch")
    shortlist.set_defaults(run=_shortlist)


def add_score(commands):
    score = add_command(
        commands,
        "score",
        "log-probability of given translations",
        "score --model runs/en_de test.en test.de",
        description="Prints the log-probability that a model gives to each target, its end included, one per line.",
    )
    add_model(score, required=True)
    score.add_argument("file", metavar="FILE", help="source, tab, target on each line; or sources, with TARGETS")
    score.add_argument("targets", metavar="TARGETS", nargs="?", help="file of the targets, one per line")
    add_encoding(score)
    score.add_argument("--batch-size", type=positive, default=64, help="number of pairs per batch")
    score.add_argument("--per-token", action="store_true", help="print the mean per token, not the sum")
    score.set_defaults(run=_score)


def _import(options):
    from keras_attention.tasks import TextToText

    task = TextToText.from_pretrained(
        options.folder,
        options.source_language,
        options.target_language,
        architecture=options.architecture,
        **dict(options.options),
    )
    task.save(options.output)
    weights = sum(weight.shape.num_elements() for weight in task.model.weights)
    print(f"Saved in {options.output}: {weights:,} weights, decoded by {type(task.strategy).__name__}.")


def _shortlist(options):
    from keras_attention.data.pairs import read_lines
    from keras_attention.tasks import TextToText
    from keras_attention.tasks.shortlists import learn_shortlist, write_shortlist

    task = TextToText.load(options.model)
    sources = read_lines(options.file, encoding=options.encoding)
    targets = read_lines(options.targets, encoding=options.encoding) if options.targets else None
    shortlist = learn_shortlist(task, sources, targets, options.per_token, options.always, options.batch_size)
    write_shortlist(shortlist, task, options.output)
    rows = [len(row) for row in shortlist.rows if row]
    print(
        f"{options.output}: {sum(rows) / max(len(rows), 1):.1f} target tokens for each of {len(rows):,} source tokens."
    )


def _score(options):
    from keras_attention.data.pairs import read_corpus
    from keras_attention.tasks import TextToText

    pairs = read_corpus(options.file, options.targets, options.encoding)
    for score in TextToText.load(options.model).score(pairs, options.batch_size):
        print(f"{score.log_prob / score.tokens if options.per_token else score.log_prob:.4f}")
