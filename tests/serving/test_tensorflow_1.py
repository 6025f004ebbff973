"""Models of TensorFlow 1, whose variables are references, answer as in a session of TensorFlow 1."""

import numpy as np
import pytest
import tensorflow as tf

from keras_attention.serving.servable import Servable

v1 = tf.compat.v1
X = [1.0, 3.0]


def variable(name, value, **options):
    return v1.get_variable(name, initializer=tf.constant(value), use_resource=False, **options)


def product(x):
    return variable("a", 2.0) * x


def strings_and_integers(x):
    lengths = tf.strings.length(variable("texts", ["a", "bc"]))
    return x * tf.cast(lengths[1] + variable("n", 3), tf.float32)


def partitions(x):
    options = {"initializer": v1.ones_initializer(), "partitioner": v1.fixed_size_partitioner(2)}
    return tf.reduce_sum(v1.get_variable("a", [4], use_resource=False, **options)) * x


def embeddings(x):
    return tf.reduce_sum(tf.nn.embedding_lookup(variable("e", np.eye(5, dtype="float32")), tf.cast(x, tf.int32)), 1)


def choice(x):
    a = variable("a", 2.0)
    return v1.cond(tf.reduce_sum(x) > 0, lambda: a * x, lambda: -a * x)


def loop(x):
    a = variable("a", 2.0)
    return v1.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * a), [0, x])[1]


def counter(x):
    """Counts its requests."""
    return x + v1.assign_add(variable("n", 0.0), 1.0)


def counter_in_a_choice(x):
    n = variable("n", 0.0)
    return x + v1.cond(tf.reduce_sum(x) > 0, lambda: v1.assign_add(n, 1.0), lambda: tf.identity(n))


def scattered(x):
    return tf.gather(v1.scatter_add(variable("e", np.ones(5, "float32")), [1], [1.0]), tf.cast(x, tf.int32))


def initialized_when_loaded(x):
    n = variable("n", 5.0, collections=[v1.GraphKeys.LOCAL_VARIABLES])
    return x + n


def table(x):
    pairs = v1.lookup.KeyValueTensorInitializer([b"k"], [3.0])
    return x * v1.lookup.StaticHashTable(pairs, 0.0).lookup(tf.constant("k"))


KINDS = [
    product, strings_and_integers, partitions, embeddings, choice, loop, counter, counter_in_a_choice, scattered,
    initialized_when_loaded, table,
]  # fmt: skip


@pytest.fixture(autouse=True)
def control_flow_of_tensorflow_1():
    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    yield
    if enabled:
        v1.enable_control_flow_v2()


def save(place, kind, *tags):
    """Saves a model with a graph for each list of tags."""
    builder = v1.saved_model.builder.SavedModelBuilder(str(place))
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        y = tf.identity(kind(x))
        start = tf.group(v1.tables_initializer(), v1.local_variables_initializer())
        session.run([v1.global_variables_initializer(), start])
        signature = v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": y})
        signatures = {"serving_default": signature}
        builder.add_meta_graph_and_variables(session, tags[0], signatures, main_op=start)
        for others in tags[1:]:
            builder.add_meta_graph(others, signatures)
        builder.save()


def answers_in_a_session(place, times):
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.load(session, ["serve"], str(place)).signature_def["serving_default"]
        return [
            session.run(signature.outputs["y"].name, {signature.inputs["x"].name: X}).tolist() for _ in range(times)
        ]


def answers_of_the_server(place, times):
    servable = Servable("model", 1, place)
    predictions = [servable.prepare("serving_default", {"x": np.array(X, "float32")}) for _ in range(times)]
    for prediction in predictions:
        prediction.run()
    return [prediction.outputs()["y"].tolist() for prediction in predictions]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_answers_are_those_of_a_session(tmp_path, kind):
    save(tmp_path / "1", kind, ["serve"])
    assert answers_of_the_server(tmp_path / "1", 2) == answers_in_a_session(tmp_path / "1", 2)


@pytest.mark.parametrize(
    "tags",
    [(["train"], ["serve"]), (["serve", "gpu"], ["serve"]), (["serve", "gpu"],)],
    ids=["train", "gpu", "only gpu"],
)
def test_of_several_graphs_that_to_serve_is_taken(tmp_path, tags):
    save(tmp_path / "1", product, *tags)
    assert answers_of_the_server(tmp_path / "1", 1) == [[2.0, 6.0]]


def test_without_a_graph_to_serve_the_tag_is_named(tmp_path):
    save(tmp_path / "1", product, ["train"])
    with pytest.raises(ValueError, match="has no graph with the tag 'serve'"):
        Servable("model", 1, tmp_path / "1")
