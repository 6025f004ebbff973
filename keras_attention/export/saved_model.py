"""Export: a SavedModel that takes strings, written whole or not at all.

    FOLDER/<version>/     what TensorFlow Serving serves
        saved_model.pb, variables/, assets/, assets.extra/

The SavedModel is written by Keras' `ExportArchive`: what `tf.saved_model.save`
writes of a Keras model does not load in TensorFlow Serving's graph loader. It
is made in a folder beside its place, checked by a fresh process, and then moved
into place by one rename, so that a reader never sees half of one.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf

from keras_attention.export.saved_converter import versions
from keras_attention.export.signature import SIGNATURE
from keras_attention.export.warmup import WarmupRequest, write_warmup_requests

# What the self-check converts: one string, several lengths together, none, a long one, other scripts, broken bytes.
_CHECKS = (
    [b"Tuesday, September 25, 1984"],
    [b""],
    [b"3 May 1979", b"", b" ", b"2/10/93", "2014年10月7日 🗓".encode(), b"\xff\xfe1"],
    [b"0123456789 " * 100],
)
# Tracing depends on no shape, so one string and several together are enough.
_WARMUP = [WarmupRequest(SIGNATURE, {"text": texts}) for texts in ([b"Warm-up"], [b"Two", b"together"])]


class ExportError(RuntimeError):
    """The export does not do what the Python object does; nothing was left behind."""


def export_saved_model(converter, folder, examples=()):
    """Writes the next version of a SavedModel, checks it, and moves it into place.

    The signature `serving_default` takes `text`, string `(batch,)`, and gives
    `text` string `(batch,)`, `log_prob` float32 `(batch,)`, `tokens` string
    `(batch, target)`, `source_tokens` string `(batch, source)`,
    `source_length` int32 `(batch,)` and `weights` float32
    `(batch, target, source)`; see `TextToText.convert`. It needs nothing but
    `tensorflow` and `tensorflow_text`.

    Args:
        converter: a `TextToText`.
        folder: the model's folder; made if it is not there. The export becomes
            `folder/<version>`, one above the highest there; an existing
            version is never touched.
        examples: strings that the self-check converts beside its own.

    Returns:
        `pathlib.Path` of the version folder.

    Raises:
        ExportError: if the export, loaded in a fresh process, does not answer
            as the converter does.
        OSError: if it cannot be written.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    staging = pathlib.Path(tempfile.mkdtemp(prefix=".export-", dir=folder))
    try:
        _write(converter, staging / "saved_model", staging)
        batches = [*_CHECKS, [text.encode("utf-8") for text in examples]]
        _check(converter, staging / "saved_model", [batch for batch in batches if batch], staging)
        write_warmup_requests(staging / "saved_model", folder.resolve().name, _WARMUP)
        return _publish(staging / "saved_model", folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write(converter, place, staging):
    vocabularies = staging / "vocabularies"
    vocabularies.mkdir()
    exported = converter.for_export(vocabularies)
    archive = keras.export.ExportArchive()
    for tokenizer in exported.tokenizers.values():
        archive.track(tokenizer.vocabulary.resource)
    # What `track` is given is only saved where the graph reads it, and the graph holds such a model itself.
    archive._tf_trackable.files = [
        tf.saved_model.Asset(str(file)) for tokenizer in exported.tokenizers.values() for file in tokenizer.files
    ]
    archive.add_endpoint(SIGNATURE, exported.convert, input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    archive.write_out(str(place), verbose=False)


def _check(converter, place, batches, staging):
    """Compares a fresh process' answers with the converter's."""
    inputs, outputs = staging / "inputs.json", staging / "outputs.npz"
    inputs.write_text(json.dumps([[base64.b64encode(text).decode() for text in batch] for batch in batches]))
    script = pathlib.Path(__file__).with_name("fresh_process.py")
    run = subprocess.run(
        [sys.executable, "-I", str(script), str(place), str(inputs), str(outputs)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    if run.returncode:
        raise ExportError(f"export: a fresh process could not use the export:\n{run.stderr[-3000:]}")
    with np.load(outputs) as answers:
        for index, batch in enumerate(batches):
            for name, expected in converter.convert_batch(batch).items():
                _compare(name, batch, expected, answers[f"{index}/{name}"])


def _compare(name, batch, expected, received):
    if expected.dtype == object:
        same = expected.shape == received.shape and (expected.astype(bytes) == received).all()
    else:
        same = expected.shape == received.shape and np.allclose(expected, received, rtol=1e-4, atol=1e-4)
    if not same:
        raise ExportError(
            f"export: {name!r} of {batch[:3]} differs between the converter and its export. "
            f"Expected {expected!r}, received {received!r}."
        )


def _publish(place, folder):
    """Moves a finished export to the next free version, by one rename."""
    while True:
        target = folder / str(max(versions(folder), default=0) + 1)
        try:
            os.rename(place, target)
        except OSError:
            if target.exists():  # another export took this number: rename refuses a folder that is not empty
                continue
            raise
        return target
