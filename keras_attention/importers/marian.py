"""Marian's models, as OPUS-MT has published them for over a thousand pairs of languages."""

from keras_attention.importers.generation import first_of, generation_of
from keras_attention.importers.imported import Imported
from keras_attention.importers.layers import Rows, Weights, translator
from keras_attention.layers.positions import PositionalEncoding
from keras_attention.text import SPECIAL_TOKENS, PieceTokenizer, Vocabulary

# What a configuration may name, and the value at which the model is the one that is built here.
_AS_BUILT = {
    "normalize_before": False, "normalize_embedding": False, "add_final_layer_norm": False,
    "static_position_embeddings": True, "extra_pos_embeddings": None,
}  # fmt: skip


def import_marian(folder, source_language=None, target_language=None, **options):
    """A model of Marian, with its tokenizers and its way to decode.

    Args:
        folder: a `Folder` with `config.json`, weights, `vocab.json`,
            `source.spm`, `target.spm`, and `target_vocab.json` where the
            languages have a vocabulary each.
        source_language: not for these models, whose texts say it.
        target_language: code of a model for several, `"fra"` for `>>fra<<`,
            which then stands before every text that does not begin with one;
            None where texts have it, or there is but one.
        **options: decoding options, by their names in `generation_config.json`,
            instead of the ones there.

    Returns:
        `Imported`.

    Raises:
        FileNotFoundError: for a file that is missing.
        ValueError: for an option, a language or weights that do not fit.
    """
    config = folder.config
    _check(config, source_language)
    source_tokens = _tokens(folder.json("vocab.json"), config["vocab_size"])
    target_tokens = source_tokens
    if folder.has("target_vocab.json"):
        target_tokens = _tokens(folder.json("target_vocab.json"), config.get("decoder_vocab_size"))
    before = _code(target_language, source_tokens)
    source, target = (_rows(tokens, config) for tokens in (source_tokens, target_tokens))
    positions = PositionalEncoding("concatenated", "vaswani")
    weights = Weights(folder.weights())
    model = translator(config, weights, source, target, norm="post", positions=positions)
    strategy, max_length = generation_of(folder, target.id, **options)
    source_options = {"before": before, "behind": [SPECIAL_TOKENS[-1]], "codes": True, "silent": source.silent}
    return Imported(
        model,
        PieceTokenizer(Vocabulary(source.tokens), folder.file("source.spm").read_bytes(), **source_options),
        PieceTokenizer(Vocabulary(target.tokens), folder.file("target.spm").read_bytes(), silent=target.silent),
        strategy,
        max_length,
        max_source_length=min(512, config["max_position_embeddings"]),
    )


def _check(config, source_language):
    for name, value in _AS_BUILT.items():
        if config.get(name, value) != value:
            raise ValueError(f"config.json: {name}={config[name]!r} is not supported; {value!r} is.")
    if source_language is not None:
        raise ValueError(
            f"A model of Marian needs no source language. Received source_language={source_language!r}: leave it out."
        )


def _tokens(ids, size):
    """The tokens of a vocabulary, by their ids."""
    tokens = [None] * (size or len(ids))
    for token, index in ids.items():
        if index >= len(tokens):
            raise ValueError(f"The vocabulary has id {index} for {token!r}, and the model {len(tokens)} ids.")
        tokens[index] = token
    return tokens


def _rows(tokens, config):
    return Rows(tokens, config["pad_token_id"], config["decoder_start_token_id"], first_of(config["eos_token_id"]))


def _code(language, tokens):
    """What stands before every text."""
    if language is None:
        return []
    codes = [token for token in tokens if token and token.startswith(">>") and token.endswith("<<")]
    if f">>{language}<<" not in codes:
        known = ", ".join(code[2:-2] for code in codes) or "none: it translates into one language"
        raise ValueError(f"The model does not know target_language={language!r}. It knows {known}.")
    return [f">>{language}<<"]
