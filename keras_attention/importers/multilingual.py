"""What the importers of models for many languages share."""

from keras_attention.importers.generation import first_of, generation_of
from keras_attention.importers.imported import Imported
from keras_attention.importers.layers import Rows, Weights, translator
from keras_attention.text import SPECIAL_TOKENS, PieceTokenizer, Vocabulary

MODEL_FILE = "sentencepiece.bpe.model"
END = SPECIAL_TOKENS[-1]


def rows_of(folder, tokens):
    """The `Rows` of a vocabulary that both languages share."""
    config = folder.config
    tokens = [*tokens, *[None] * (config["vocab_size"] - len(tokens))]
    start, end = config.get("decoder_start_token_id"), first_of(config["eos_token_id"])
    return Rows(tokens, config["pad_token_id"], end if start is None else start, end)


def tokens_of_tokenizer_json(folder):
    """The tokens of a `tokenizer.json`, in the order of their ids."""
    content = folder.json("tokenizer.json")
    vocabulary = content["model"]["vocab"]
    ids = {row[0]: index for index, row in enumerate(vocabulary)} if isinstance(vocabulary, list) else dict(vocabulary)
    ids |= {token["content"]: token["id"] for token in content.get("added_tokens", [])}
    tokens = [None] * (max(ids.values()) + 1)
    for token, index in ids.items():
        tokens[index] = token
    return tokens


def tokenizer_settings(folder):
    """What `tokenizer_config.json` has; nothing without one."""
    return folder.json("tokenizer_config.json") if folder.has("tokenizer_config.json") else {}


def language_token(language, tokens, argument):
    """The token of a language.

    Args:
        language: a code.
        tokens: dict of token by code.
        argument: its name, for the message.

    Raises:
        ValueError: for one that the model lacks.
    """
    if language not in tokens:
        raise ValueError(
            f"The model does not know {argument}={language!r}. It knows {', '.join(sorted(tokens))}."
            if language
            else f"The model is for many languages: give {argument}, one of {', '.join(sorted(tokens))}."
        )
    return tokens[language]


def imported(folder, rows, source, target, arguments, silent, **options):
    """A model with its tokenizers and its way to decode.

    Args:
        folder: a `Folder`.
        rows: its `Rows`.
        source: dict of `before` and `behind`, the tokens around a source.
        target: the same around a target.
        arguments: dict of arguments of `TransformerTranslator`.
        silent: tokens that add nothing to a text.
        **options: decoding options.
    """
    model = translator(folder.config, Weights(folder.weights()), rows, rows, norm="pre", **arguments)
    strategy, max_length = generation_of(folder, rows.id, **{"start": rows.start, **options})
    pieces = folder.file(MODEL_FILE).read_bytes()
    tokenizers = (
        PieceTokenizer(Vocabulary(rows.tokens), pieces, silent=[*silent, *rows.silent], **around)
        for around in (source, target)
    )
    return Imported(model, *tokenizers, strategy, max_length, min(1024, folder.config["max_position_embeddings"]))


def listed_tokens(folder):
    """Tokens that tokenizers' files name beside their vocabulary, in order: those of languages among them."""
    settings = tokenizer_settings(folder)
    found = [*settings.get("additional_special_tokens", []), *settings.get("extra_special_tokens", [])]
    if folder.has("special_tokens_map.json"):
        found += folder.json("special_tokens_map.json").get("additional_special_tokens", [])
    return [token["content"] if isinstance(token, dict) else token for token in found]
