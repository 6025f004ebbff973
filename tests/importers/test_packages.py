"""Trained models of two published packages give here the answers of the packages themselves.

The wheels of annalog 1.0.6 and netra-transliterate 1.0.1 are no part of this
repository. Unpack them into `../shared/packages/annalog` and
`../shared/packages/netra_transliterate`, or name the folder that holds both in
`KERAS_ATTENTION_PACKAGES`.
"""

import contextlib
import gzip
import importlib
import os
import pathlib
import re
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from keras_attention.tasks import TextToText

SHARED = pathlib.Path(__file__).parents[3] / "shared"
PACKAGES = pathlib.Path(os.environ.get("KERAS_ATTENTION_PACKAGES", SHARED / "packages"))
KHMER = SHARED / "data/khmer/eng_khm_data.txt.gz"

MOLECULES = """
    CC(=O)Oc1ccccc1C(=O)O CN1C=NC2=C1C(=O)N(C(=O)N2C)C CC(C)Cc1ccc(cc1)C(C)C(=O)O CC(=O)Nc1ccc(O)cc1 c1ccccc1 CCO
    CC(C)(C)c1ccc(cc1)C(O)CCCN1CCC(CC1)C(O)(c1ccccc1)c1ccccc1 CN1CCC[C@H]1c1cccnc1 OC(=O)c1ccccc1O C[C@@H](N)C(=O)O
    C[C@H](N)C(=O)O NCCc1ccc(O)c(O)c1 CNC[C@H](O)c1ccc(O)c(O)c1 NCCc1c[nH]c2ccc(O)cc12 Clc1ccccc1 Brc1ccc(Br)cc1
    FC(F)(F)c1ccccc1 O=C(O)/C=C/c1ccccc1 C/C=C\\C CC#N N#Cc1ccccc1 O=[N+]([O-])c1ccccc1 C[N+](C)(C)CCO
    CS(=O)(=O)c1ccccc1 CC(=O)C CCN(CC)CC C1CCCCC1 C1CCNCC1 C1COCCN1 c1ccncc1 c1ccoc1 c1ccsc1 c1cc[nH]c1
    c1ccc2[nH]ccc2c1 c1ccc2ccccc2c1 Cn1cnc2c1c(=O)[nH]c(=O)n2C CC1=C(C(=O)O)N2C(=O)[C@@H](N)[C@H]2SC1
    COc1ccc2cc(ccc2c1)[C@H](C)C(=O)O CCOC(=O)c1ccc(N)cc1 CCN(CC)CCNC(=O)c1ccc(N)cc1 CN(C)CCOC(c1ccccc1)c1ccccc1
    OCC1OC(O)C(O)C(O)C1O NC(=O)c1cccnc1 Cc1ccccc1N CC(C)NCC(O)COc1cccc2ccccc12 Clc1ccc(cc1)C(c1ccccc1)N1CCNCC1
    CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc12 O=C1CN=C(c2ccccc2)c2cc(Cl)ccc2N1 [SiH3]c1ccccc1 CCCCCCCCCCCCCCCCCC(=O)O
"""


def unpacked(name):
    """Skips a test where a package is not there."""
    return pytest.mark.skipif(
        not (PACKAGES / name).is_dir(), reason=f"{PACKAGES / name} is not there: unpack the wheel into it"
    )


@contextlib.contextmanager
def importable(name, *absent):
    """A package's folder on the path; what it imports for other purposes may be absent."""
    sys.path.insert(0, str(PACKAGES / name))
    stubs = [each for each in absent if importlib.util.find_spec(each) is None]
    for each in stubs:
        sys.modules[each] = types.ModuleType(each)
        sys.modules[each].Chem = sys.modules[each].khnormal = None
    try:
        yield
    finally:
        sys.path.remove(str(PACKAGES / name))
        for each in stubs:
            del sys.modules[each]


@unpacked("annalog")
def test_annalog_generates_the_same_molecules():
    torch = pytest.importorskip("torch", reason="annalog is of torch")
    files = PACKAGES / "annalog/annalog/ckpt_and_vocab"
    vocabulary = str(files / "stereo_experiment_vocab_ttf.pkl")
    sources = MOLECULES.split()
    with importable("annalog", "rdkit", "partialsmiles"), torch.no_grad():
        handler = importlib.import_module("annalog.model_handler").SMILESModelHandler
        handler = handler(vocabulary, vocabulary, str(files / "Lev_extended.pt"), "cpu")
        decode = importlib.import_module("annalog.model_files.multi_gen_final").get_sim_smiles_decoding
        fields = (handler.SRC, handler.TRG, handler.model, handler.device, handler.max_length)
        expected = [decode(source, *fields, 1, 1.0) for source in sources]
    found = TextToText.from_pretrained(files, architecture="tutorial-transformer")(sources)
    ended = [bool(rows) for rows in expected]
    assert [conversion.finished for conversion in found] == ended and sum(ended) > 40
    pairs = [(conversion, rows[0]) for conversion, rows in zip(found, expected, strict=True) if rows]
    assert [conversion.text for conversion, _ in pairs] == [text for _, (text, _) in pairs]
    np.testing.assert_allclose([conversion.log_prob for conversion, _ in pairs], [p for _, (_, p) in pairs], atol=1e-3)


@unpacked("netra_transliterate")
@pytest.mark.skipif(not KHMER.is_file(), reason="the words of ../shared/data/khmer are not here")
def test_netra_transliterates_words_the_same():
    with gzip.open(KHMER, "rt", encoding="utf-8") as lines:
        words = [re.sub("[^a-z]", "", line.partition(":")[2].lower()) for line in lines]
    words = [word for word in words if word][::200][:100]
    with importable("netra_transliterate", "khmerspell"):
        package = importlib.import_module("khmer_transliterator._inference")
        answers = greedy(package.Transliterator(), words)
    files = PACKAGES / "netra_transliterate/khmer_transliterator/weights"
    task = TextToText.from_pretrained(files, architecture="keras-recurrent")
    assert [conversion.text for conversion in task(words)] == answers


def greedy(package, words):
    """The best characters by the package's own models, for all words at once; it takes seconds a word."""
    package._load()
    padded = importlib.import_module("khmer_transliterator._inference").pad_sequences
    ids = package._eng_tokenizer.texts_to_sequences(words)
    _, memory = package._encoder(padded(ids, maxlen=package._max_eng_len, padding="post"))
    index = package._khm_tokenizer.word_index
    rows, state = np.full((len(words), 1), index["\t"]), np.zeros((len(words), package._gru_units))
    for _ in range(31):
        probabilities, state = package._decoder([tf.constant(rows[:, -1:]), tf.constant(state), memory])
        rows = np.concatenate([rows, np.argmax(probabilities[:, -1:], axis=-1)], axis=1)
    return [package._decode_beam({"seq": list(row)}) for row in rows]
