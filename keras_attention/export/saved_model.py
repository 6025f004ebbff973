"""Export: a SavedModel with a typed signature, written whole or not at all.

    FOLDER/<version>/     what TensorFlow Serving serves
        saved_model.pb, variables/, assets/, assets.extra/

The SavedModel is written by Keras' `ExportArchive`: what `tf.saved_model.save`
writes of a Keras model does not load in TensorFlow Serving's graph loader. It
is made in a folder beside its place, checked by a fresh process, and then moved
into place by one rename, so that a reader never sees half of one.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

from keras_attention.export.defaults import write_defaults
from keras_attention.export.description import forget_place
from keras_attention.export.saved_task import IDENTITY, versions
from keras_attention.export.signature import SIGNATURE
from keras_attention.export.warmup import WarmupRequest, write_warmup_requests

_STAGING = ".export-"


class ExportError(RuntimeError):
    """The export does not do what the Python object does; nothing was left behind."""


def export_saved_model(task, folder: str | os.PathLike, examples=()) -> pathlib.Path:
    """Writes the next version of a SavedModel, checks it, and moves it into place.

    The signature `serving_default` is the task's (`text_only`, beside it, gives
    `text`, `log_prob` and `finished` alone, and takes less time): that of a `TextToText` takes
    `text`, string `(batch,)`, and gives `text` string `(batch,)`, `log_prob`
    float32 `(batch,)`, `finished` bool `(batch,)`, `tokens` string `(batch,
    target)`, `source_tokens` string `(batch, source)`, `source_length` int32
    `(batch,)` and `weights` float32 `(batch, target, source)`. It needs nothing
    but `tensorflow` and `tensorflow_text`.

    Args:
        task: a `Task`, such as a `TextToText`.
        folder: the model's folder; made if it is not there. The export becomes
            `folder/<version>`, one above the highest there; an existing
            version is never touched.
        examples: what the self-check tries beside its own, such as strings.

    Returns:
        `pathlib.Path` of the version folder.

    Raises:
        ExportError: if the export, loaded in a fresh process, does not answer
            as the task does.
        OSError: if it cannot be written.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    staging = pathlib.Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
    held = os.open(staging, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        _write(task, staging / "saved_model", staging)
        _check(task, staging / "saved_model", task.checks(examples), staging)
        warmup = [WarmupRequest(SIGNATURE, task.with_defaults(inputs)) for inputs in task.warmup()]
        write_warmup_requests(staging / "saved_model", folder.resolve().name, warmup)
        (staging / "saved_model" / IDENTITY).write_text(json.dumps(task.identity) + "\n", encoding="utf-8")
        return _publish(staging / "saved_model", folder)
    except tf.errors.OpError as error:  # TensorFlow's word for a full disk, among others
        raise OSError(f"export: {folder} cannot be written: {error.message}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        os.close(held)


def _remove_leftovers(folder):
    """Removes what exports that were killed left: what nobody holds any more, and is not just being made."""
    for place in folder.glob(f"{_STAGING}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(place, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - place.stat().st_mtime > 60:
                    shutil.rmtree(place)
            finally:
                os.close(descriptor)


def _write(task, place, staging):
    files = staging / "files"
    files.mkdir()
    exported = task.for_export(files)
    archive = keras.export.ExportArchive()
    for table in exported.tables:
        archive.track(table)
    # What `track` is given is only saved where the graph reads it, and the graph holds such a model itself.
    archive._tf_trackable.files = [tf.saved_model.Asset(str(file)) for file in exported.files]
    hints = {name: exported.optional_specs[name] for name in exported.defaults}
    specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in (exported.input_specs | hints).items()}

    with exported.tracing():
        for name, compute in exported.signatures.items():
            archive.add_endpoint(name, _in_order(compute, specs), input_signature=list(specs.values()))
            # Traced here, and kept, since what writes it would trace it twice.
            setattr(archive._tf_trackable, name, getattr(archive._tf_trackable, name).get_concrete_function())
    archive.write_out(str(place), verbose=False)
    forget_place(place, files)
    if hints:
        write_defaults(place, {name: (value, hints[name].dtype) for name, value in exported.defaults.items()})


def _in_order(compute, names):
    """A function of tensors in an order, for one of tensors by name."""

    def endpoint(*tensors):
        return compute(**dict(zip(names, tensors, strict=True)))

    return endpoint


def _check(task, place, requests, staging):
    """Compares a fresh process' answers with the task's."""
    inputs, outputs = staging / "inputs", staging / "outputs.npz"
    inputs.mkdir()
    for index, request in enumerate(requests):
        for name, array in task.with_defaults(request).items():
            tensor = tf.convert_to_tensor(array, (task.input_specs | task.optional_specs)[name].dtype)
            (inputs / f"{index:06}.{name}").write_bytes(tf.io.serialize_tensor(tensor).numpy())
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
        for index, request in enumerate(requests):
            for name, expected in task.run(**request).items():
                _compare(name, request, expected, answers[f"{index:06}/{name}"])


def _compare(name, request, expected, received):
    if expected.dtype == object:
        same = expected.shape == received.shape and (expected.astype(bytes) == received).all()
    else:
        same = expected.shape == received.shape and np.allclose(expected, received, rtol=1e-4, atol=1e-4)
    if not same:
        raise ExportError(
            f"export: {name!r} of {str(request)[:200]} differs between the task and its export. "
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
