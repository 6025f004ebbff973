"""mBART, for 25 languages and for 50."""

from keras_attention.importers.multilingual import (
    END,
    imported,
    language_token,
    rows_of,
    tokenizer_settings,
    tokens_of_tokenizer_json,
)


def import_mbart(folder, source_language=None, target_language=None, **options):
    """A model of mBART, with its tokenizers and its way to decode.

    Args:
        folder: a `Folder` with `config.json`, weights,
            `sentencepiece.bpe.model` and `tokenizer.json`.
        source_language: code of the language of the texts, such as `"en_XX"`;
            None takes what `tokenizer_config.json` says.
        target_language: code of the language of the results; None takes the
            model's own, if it has one.
        **options: decoding options, by their names in `generation_config.json`.

    Returns:
        `Imported`.

    Raises:
        FileNotFoundError: for a file that is missing.
        ValueError: for an option, a language or weights that do not fit.
    """
    tokens, settings = tokens_of_tokenizer_json(folder), tokenizer_settings(folder)
    languages = {token: token for token in tokens if token and token[-3:-2] == "_" and token[-2:].isupper()}
    source = language_token(source_language or settings.get("src_lang"), languages, "source_language")
    start = folder.config.get("decoder_start_token_id")
    own = tokens[start] if start is not None and tokens[start] in languages else settings.get("tgt_lang")
    target = language_token(target_language or own, languages, "target_language")
    if settings.get("tokenizer_class", "").startswith("MBart50"):
        around, decoded = {"before": [source], "behind": [END]}, {"before": [target]}
        options = {"forced_bos_token_id": tokens.index(target), **options}
        start = 2 if start is None else start
    else:  # the code of a language stands behind a text, and the decoder begins with it
        around, decoded, start = {"behind": [END, source]}, {}, tokens.index(target)
    folder.config["decoder_start_token_id"] = start
    positions = {"positions": "learned", "max_length": folder.config["max_position_embeddings"], "embedding_norm": True}
    return imported(folder, rows_of(folder, tokens), around, decoded, positions, languages.values(), **options)
