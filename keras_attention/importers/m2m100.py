"""M2M100 and NLLB: one model for a hundred, or two hundred, languages in any direction."""

from keras_attention.importers.multilingual import (
    END,
    imported,
    language_token,
    listed_tokens,
    rows_of,
    tokenizer_settings,
    tokens_of_tokenizer_json,
)
from keras_attention.layers.positions import PositionalEncoding

# Of M2M100, in the order of their ids, for folders whose files do not name them.
_LANGUAGES = """
    af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu hy id
    ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps pt ro ru sd si
    sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu
"""


def import_m2m100(folder, source_language=None, target_language=None, **options):
    """A model of M2M100, or of NLLB, with its tokenizers and its way to decode.

    Args:
        folder: a `Folder` with `config.json`, weights,
            `sentencepiece.bpe.model`, and `vocab.json` (M2M100) or
            `tokenizer.json` (NLLB).
        source_language: code of the language of the texts, `"en"` of M2M100,
            `"eng_Latn"` of NLLB; None takes what `tokenizer_config.json` says.
        target_language: code of the language of the results.
        **options: decoding options, by their names in `generation_config.json`.

    Returns:
        `Imported`.

    Raises:
        FileNotFoundError: for a file that is missing.
        ValueError: for an option, a language or weights that do not fit.
    """
    tokens, languages = _m2m100_tokens(folder) if folder.has("vocab.json") else _nllb_tokens(folder)
    settings = tokenizer_settings(folder)
    source = language_token(source_language or settings.get("src_lang"), languages, "source_language")
    target = language_token(target_language or settings.get("tgt_lang"), languages, "target_language")
    around = {"before": [source], "behind": [END]}
    if settings.get("legacy_behaviour"):
        around = {"before": [], "behind": [END, source]}
    return imported(
        folder,
        rows_of(folder, tokens),
        around,
        {"before": [target]},
        {"positions": PositionalEncoding("concatenated", "tensor2tensor", first=folder.config["pad_token_id"] + 1)},
        languages.values(),
        **{"forced_bos_token_id": tokens.index(target), **options},
    )


def _m2m100_tokens(folder):
    """All tokens, and the one of each language by its code."""
    ids = folder.json("vocab.json")
    tokens = sorted(ids, key=ids.get)
    of_languages = [token for token in listed_tokens(folder) if token.startswith("__") and token not in ids]
    of_languages = list(dict.fromkeys(of_languages)) or [f"__{code}__" for code in _LANGUAGES.split()]
    languages = {token.strip("_"): token for token in of_languages}
    return tokens + of_languages, languages


def _nllb_tokens(folder):
    tokens = tokens_of_tokenizer_json(folder)
    languages = {token: token for token in tokens if token and token[-5:-4] == "_" and token[-4:].isalpha()}
    return tokens, languages
