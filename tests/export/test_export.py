"""The SavedModel: alone in a fresh process, in the graph loader, whole or not at all."""

import contextlib
import fcntl
import importlib
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_attention
from keras_attention import Beam, TextToText
from keras_attention.export import ExportError, SavedConverter, saved_model, versions
from keras_attention.export.warmup import read_warmup_requests

TEXTS = ["3 May 1979", "", "한 3 May 1979", "1 June 2001"]


@pytest.fixture(scope="module")
def converter(trained):
    return TextToText.load(trained)


@pytest.fixture(scope="module")
def exported(converter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "dates"
    converter.export(folder, examples=["3 May 1979"])
    return folder


def test_signature_is_the_documented_one(exported):
    signature = tf.saved_model.load(str(exported / "1")).signatures["serving_default"]
    _, inputs = signature.structured_input_signature
    assert {name: (spec.dtype, spec.shape.as_list()) for name, spec in inputs.items()} == {"text": (tf.string, [None])}
    outputs = {name: (spec.dtype, spec.shape.as_list()) for name, spec in signature.structured_outputs.items()}
    assert outputs == {
        "text": (tf.string, [None]),
        "log_prob": (tf.float32, [None]),
        "finished": (tf.bool, [None]),
        "tokens": (tf.string, [None, None]),
        "source_tokens": (tf.string, [None, None]),
        "source_length": (tf.int32, [None]),
        "weights": (tf.float32, [None, None, None]),
    }


def test_text_only_answers_the_same_without_weights(exported):
    signatures = tf.saved_model.load(str(exported / "1")).signatures
    whole, text = (signatures[name](text=tf.constant(TEXTS)) for name in ("serving_default", "text_only"))
    assert set(text) == {"text", "log_prob", "finished"}
    for name, tensor in text.items():
        np.testing.assert_array_equal(tensor, whole[name])


def test_an_export_does_not_say_where_it_was_made(exported):
    assert str(exported.parent).encode() not in (exported / "1/saved_model.pb").read_bytes()


def test_weights_are_saved_once(exported, converter):
    saved = [shape for _, shape in tf.train.list_variables(str(exported / "1/variables/variables")) if shape]
    weights = [list(weight.shape) for weight in converter.model.for_decoding().trainable_variables]
    assert sorted(saved) == sorted(weights)


def test_fresh_process_with_tensorflow_alone_agrees_after_the_folder_has_moved(exported, converter, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(exported / "1", moved)
    script = f"""
import sys, tensorflow as tf, tensorflow_text
signature = tf.saved_model.load({str(moved)!r}).signatures["serving_default"]
answer = signature(text=tf.constant({TEXTS!r}))
assert "keras_attention" not in sys.modules
print(b"|".join(answer["text"].numpy()).decode(), *answer["log_prob"].numpy(), sep="|")
"""
    run = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    fields = run.stdout.strip().split("|")
    expected = converter(TEXTS)
    assert fields[: len(TEXTS)] == [conversion.text for conversion in expected]
    np.testing.assert_allclose(
        [float(field) for field in fields[len(TEXTS) :]], [conversion.log_prob for conversion in expected], atol=1e-4
    )


def test_graph_loader_of_serving_loads_and_runs_it(exported, converter):
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(exported / "1"))
        signature = meta_graph.signature_def["serving_default"]
        outputs = {name: info.name for name, info in signature.outputs.items()}
        answer = session.run(outputs, {signature.inputs["text"].name: [text.encode() for text in TEXTS]})
    assert [text.decode() for text in answer["text"]] == [conversion.text for conversion in converter(TEXTS)]
    assert answer["weights"].shape[0] == len(TEXTS)


def test_real_request_of_serving_is_answered_by_its_graph_loader(exported, converter):
    apis = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    request = apis.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "dates", "serving_default"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto([text.encode() for text in TEXTS]))
    request = apis.PredictRequest.FromString(request.SerializeToString())
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(exported / "1"))
        signature = meta_graph.signature_def[request.model_spec.signature_name]
        feed = {signature.inputs[name].name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        answer = session.run({name: info.name for name, info in signature.outputs.items()}, feed)
    response = apis.PredictResponse()
    for name, array in answer.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
    texts = tf.make_ndarray(apis.PredictResponse.FromString(response.SerializeToString()).outputs["text"])
    assert [text.decode() for text in texts] == [conversion.text for conversion in converter(TEXTS)]


def test_graph_holds_no_op_that_serving_lacks(exported):
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel.FromString((exported / "1" / "saved_model.pb").read_bytes())
    graph = saved_model.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    functions = {function.signature.name for function in graph.library.function}
    foreign = {node.op for node in nodes} - functions - set(dir(tf.raw_ops))
    # tensorflow-text 2.20, which TensorFlow Serving links, has these and those of SentencePiece.
    assert foreign == {"NormalizeUTF8"}


def test_export_carries_requests_that_warm_it_up(exported):
    requests = read_warmup_requests(exported / "1")
    signature = tf.saved_model.load(str(exported / "1")).signatures["serving_default"]
    for request in requests:
        assert (
            signature(text=tf.constant(request.inputs["text"].tolist()))["text"].shape == request.inputs["text"].shape
        )
    assert len(requests) == 2


def test_saved_converter_is_called_like_the_one_it_was_made_of(exported, converter):
    saved = keras_attention.load(exported)
    assert isinstance(saved, SavedConverter)
    for received, expected in zip(saved(TEXTS), converter(TEXTS), strict=True):
        assert received.text == expected.text
        assert received.source_tokens == expected.source_tokens
        np.testing.assert_allclose(received.weights, expected.weights, atol=1e-5)
    assert saved([]) == []


def test_export_of_before_that_names_no_task_is_a_converter(exported, tmp_path):
    shutil.copytree(exported / "1", tmp_path / "dates" / "1")
    (tmp_path / "dates" / "1" / "assets.extra" / "task.json").unlink()
    assert (
        keras_attention.load(tmp_path / "dates")("3 May 1979").text == keras_attention.load(exported)("3 May 1979").text
    )


def test_export_of_a_task_that_cannot_be_imported_is_called_with_arrays(exported, tmp_path):
    shutil.copytree(exported / "1", tmp_path / "dates" / "1")
    (tmp_path / "dates" / "1" / "assets.extra" / "task.json").write_text('{"task": "nowhere:Nothing"}')
    saved = keras_attention.load(tmp_path / "dates")
    assert saved(text=["3 May 1979"])["text"][0].decode() == keras_attention.load(exported)("3 May 1979").text
    with pytest.raises(ValueError, match=r"takes text. Received words"):
        saved(words=["3 May 1979"])


def test_n_best_is_exported_beside_the_best(trained, tmp_path, unchecked):
    converter = TextToText.load(trained, strategy=Beam(3, n_best=2))
    converter.export(tmp_path / "dates")
    received, expected = keras_attention.load(tmp_path / "dates")("3 May 1979"), converter("3 May 1979")
    assert [text for text, _ in received.n_best] == [text for text, _ in expected.n_best]
    assert len(received.n_best) == 2


def test_next_version_stands_beside_the_old_one_which_stays_as_it_is(exported, converter, unchecked):
    def state(folder):
        return {path: path.stat().st_mtime_ns for path in sorted((exported / folder).rglob("*"))}

    before = state("1")
    assert converter.export(exported) == exported / "2"
    assert state("1") == before
    assert versions(exported) == [1, 2]
    assert SavedConverter(exported).folder == exported / "2"


def test_version_is_one_above_the_highest_whatever_else_is_there(converter, tmp_path, unchecked):
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "12").write_text("a file, not a version")
    assert converter.export(tmp_path) == tmp_path / "8"
    assert (tmp_path / "7").is_dir()
    assert not list((tmp_path / "7").iterdir())


def left_behind(folder):
    return sorted(path.name for path in pathlib.Path(folder).iterdir())


def test_mismatch_fails_the_export_and_leaves_nothing(converter, tmp_path, monkeypatch):
    honest = TextToText.run

    def lying(self, text):
        return honest(self, text=text) | {"text": np.array([b"1999-01-01"] * len(text), object)}

    monkeypatch.setattr(TextToText, "run", lying)
    with pytest.raises(ExportError, match=r"'text' of .* differs between the task and its export"):
        converter.export(tmp_path)
    assert left_behind(tmp_path) == []


def test_full_disk_fails_the_export_and_leaves_nothing(converter, tmp_path, monkeypatch):
    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    # Keras imports this module when it first exports, which makes another one of what TensorFlow had loaded.
    monkeypatch.setattr(importlib.import_module("tensorflow.saved_model"), "save", full)
    with pytest.raises(OSError, match="No space left"):
        converter.export(tmp_path)
    assert left_behind(tmp_path) == []


def test_broken_export_fails_the_check_and_leaves_nothing(converter, tmp_path, monkeypatch):
    write = saved_model._write

    def without_assets(task, place, staging):
        write(task, place, staging)
        shutil.rmtree(place / "assets")

    monkeypatch.setattr(saved_model, "_write", without_assets)
    with pytest.raises(ExportError, match="a fresh process could not use the export"):
        converter.export(tmp_path)
    assert left_behind(tmp_path) == []


def test_kill_during_export_leaves_no_version(trained, tmp_path):
    script = f"""
import os
from keras_attention import TextToText
from keras_attention.export import saved_model
saved_model._check = lambda *arguments: os.kill(os.getpid(), 9)
TextToText.load({str(trained)!r}).export({str(tmp_path)!r})
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert run.returncode == -9
    assert versions(tmp_path) == []
    assert not SavedConverter.is_export(tmp_path)
    (left,) = tmp_path.glob(".export-*")
    saved_model._remove_leftovers(tmp_path)
    assert left.is_dir()  # perhaps it was made this moment
    os.utime(left, (0, 0))
    with open_folder(left) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        saved_model._remove_leftovers(tmp_path)
        assert left.is_dir()  # somebody is at it
    saved_model._remove_leftovers(tmp_path)
    assert not left.exists()


@contextlib.contextmanager
def open_folder(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_a_save_that_fails_leaves_the_one_before(converter, tmp_path, monkeypatch):
    converter.save(tmp_path)
    before = (tmp_path / "model.keras").read_bytes()

    def full(model, path, **options):
        path.write_bytes(before[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", full)
    with pytest.raises(OSError, match="No space left"):
        converter.save(tmp_path)
    assert (tmp_path / "model.keras").read_bytes() == before
    assert not list(tmp_path.glob("unfinished*"))


def test_two_exports_at_once_get_two_versions(tmp_path):
    folders = []
    for content in "ab":
        place = tmp_path / f".staged-{content}"
        place.mkdir()
        (place / "saved_model.pb").write_text(content)
        folders.append(place)
    seen = []

    def slow_versions(folder):
        """The second export looks at the versions before the first has made its own."""
        seen.append(versions(folder) if len(seen) != 1 else [])
        return seen[-1]

    original, saved_model.versions = saved_model.versions, slow_versions
    try:
        assert [saved_model._publish(place, tmp_path).name for place in folders] == ["1", "2"]
    finally:
        saved_model.versions = original
    assert (tmp_path / "1/saved_model.pb").read_text() == "a"


def test_folder_without_an_export_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no export"):
        SavedConverter(tmp_path)


def test_export_can_be_read_by_others(exported):
    assert os.stat(exported / "1").st_mode & 0o055 == 0o055 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
