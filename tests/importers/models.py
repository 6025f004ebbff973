"""Small published models with random weights, in the folders that `transformers` writes."""

import io
import json

import sentencepiece
import torch
import transformers

TEXTS = [
    f"{who} {does} {what}."
    for who in ("the small cat", "Der große Hund", "a green house", "Über den Wolken", "two birds", "Сова")
    for does in ("sees", "schläft neben", "eats", "läuft mit", "sings to")
    for what in ("the old man", "einem Kind", "us", "the sea, slowly", "mir", "鳥")
]
_SIZES = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 20,
    "max_position_embeddings": 64,
    "init_std": 0.35,  # so that tokens are as different as learned ones
}


def pieces(texts, size, kind="unigram"):
    """The bytes of a SentencePiece model."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=size,
        model_type=kind,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    return model.getvalue()


def _written(folder, model, generation):
    """Writes a model whose biases and norms are random too."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "bias" in name or "norm" in name:
                weight.add_(0.2 * torch.randn_like(weight))
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_()
    model.generation_config = transformers.GenerationConfig(**generation)
    model.save_pretrained(folder)
    return model.eval()


def marian(folder, separate=False, generation=None, safe=True, **config):
    """A Marian with `>>deu<<` and `>>fra<<`, and pieces that have no id.

    Returns:
        `(model, tokenizer)`.
    """
    for name, texts in (("source.spm", TEXTS), ("target.spm", TEXTS[::-1])):
        (folder / name).write_bytes(pieces(texts, 200 if name == "source.spm" else 90))

    def vocabulary(*models):
        tokens = ["</s>", "<unk>"]
        for name in models:
            model = sentencepiece.SentencePieceProcessor(model_file=str(folder / name))
            known = (model.id_to_piece(index) for index in range(3, model.get_piece_size()) if index % 17 != 5)
            tokens += [piece for piece in known if piece not in tokens]
        tokens += [">>deu<<", ">>fra<<", "<pad>"]
        return {token: index for index, token in enumerate(tokens)}

    source = target = vocabulary("source.spm", "target.spm")
    if separate:
        source, target = vocabulary("source.spm"), vocabulary("target.spm")
        (folder / "target_vocab.json").write_text(json.dumps(target))
    (folder / "vocab.json").write_text(json.dumps(source))
    (folder / "tokenizer_config.json").write_text(json.dumps({"separate_vocabs": separate}))
    torch.manual_seed(0)
    pad = target["<pad>"]
    settings = transformers.MarianConfig(
        **_SIZES,
        vocab_size=len(source),
        decoder_vocab_size=len(target),
        activation_function="swish",
        scale_embedding=True,
        pad_token_id=pad,
        decoder_start_token_id=pad,
        share_encoder_decoder_embeddings=not separate,
        **config,
    )
    generated = {
        "num_beams": 4,
        "max_length": 18,
        "bad_words_ids": [[pad]],
        "forced_eos_token_id": 0,
        "eos_token_id": 0,
    }
    generated |= {"pad_token_id": pad, "decoder_start_token_id": pad, **(generation or {})}
    model = _written(folder, transformers.MarianMTModel(settings), generated)
    if not safe:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return model, transformers.MarianTokenizer.from_pretrained(folder, separate_vocabs=separate)


def m2m100(folder):
    """`(model, tokenizer)` of M2M100, from English to German."""
    (folder / "sentencepiece.bpe.model").write_bytes(pieces(TEXTS, 200))
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *map(model.id_to_piece, range(3, model.get_piece_size()))]
    file = folder / "vocab.json"
    file.write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    names = {"src_lang": "en", "tgt_lang": "de"}
    tokenizer = transformers.M2M100Tokenizer(str(file), str(folder / "sentencepiece.bpe.model"), **names)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.M2M100Config(**_SIZES, vocab_size=len(tokens) + 108)
    return _written(folder, transformers.M2M100ForConditionalGeneration(config), _from(2)), tokenizer


def nllb(folder, legacy=False):
    """`(model, tokenizer)` of NLLB, from English to German."""
    model = pieces(TEXTS, 100, "bpe")
    (folder / "sentencepiece.bpe.model").write_bytes(model)
    names = {"src_lang": "eng_Latn", "tgt_lang": "deu_Latn", "legacy_behaviour": legacy}
    tokenizer = transformers.NllbTokenizer.from_pretrained(
        folder, **names, extra_special_tokens=["deu_Latn", "eng_Latn", "fra_Latn", "kor_Hang"]
    )
    tokenizer.save_pretrained(folder)
    (folder / "sentencepiece.bpe.model").write_bytes(model)
    torch.manual_seed(0)
    config = transformers.M2M100Config(**_SIZES, vocab_size=len(tokenizer))
    return _written(folder, transformers.M2M100ForConditionalGeneration(config), _from(2)), tokenizer


def mbart(folder, fifty=False):
    """`(model, tokenizer)` of mBART for 25 languages, or for 50, from English to German."""
    model = pieces(TEXTS, 200)
    (folder / "sentencepiece.bpe.model").write_bytes(model)
    kind = transformers.MBart50Tokenizer if fifty else transformers.MBartTokenizer
    tokenizer = kind.from_pretrained(folder, src_lang="en_XX", tgt_lang="de_DE")
    tokenizer.save_pretrained(folder)
    (folder / "sentencepiece.bpe.model").write_bytes(model)
    torch.manual_seed(0)
    start = 2 if fifty else tokenizer.convert_tokens_to_ids("de_DE")
    config = transformers.MBartConfig(
        **_SIZES, vocab_size=len(tokenizer), scale_embedding=True, decoder_start_token_id=start
    )
    generation = _from(start) | {"forced_eos_token_id": 2}
    return _written(folder, transformers.MBartForConditionalGeneration(config), generation), tokenizer


def _from(start):
    return {"num_beams": 3, "max_length": 14, "eos_token_id": 2, "pad_token_id": 1, "decoder_start_token_id": start}
