"""What small operations cost to start: those that TensorFlow gives to oneDNN beside those that a decoder's step has.

`python benchmarks/starts.py`. Microseconds of one operation in a loop in graph, less those of the loop, for 1 row and
64, on one thread and on TensorFlow's default threads. See docs/decisions/0011.
"""

import argparse
import time

from harness import measure, one_core, report, save

LOOPS, RUNS = 2000, 20
FORMS = ("oneDNN", "ours")


def tasks(rows):
    """What is done, with its input: in each of the two forms."""
    import tensorflow as tf

    from keras_attention.layers.dense import multiply
    from keras_attention.layers.products import product, softmax

    query, key = tf.random.normal([rows, 4, 1, 32]), tf.random.normal([rows, 4, 20, 32])
    scores = tf.random.normal([rows, 8, 1, 20])
    inputs, kernel, bias = tf.random.normal([rows, 1, 128]), tf.random.normal([128, 128]), tf.random.normal([128])

    def fused(inputs):
        outputs = tf.nn.bias_add(tf.matmul(tf.reshape(inputs, [-1, 128]), kernel), bias)
        return tf.reshape(outputs, [-1, 1, 128])

    return {
        "query by key, 4 heads of 32, 20 positions": (
            query,
            lambda query: tf.matmul(query, key, transpose_b=True),
            lambda query: product(query, key, transpose=True),
        ),
        "softmax, 8 heads, 20 positions": (scores, tf.nn.softmax, softmax),
        "dense layer, 128 to 128, with its bias": (
            inputs,
            fused,
            lambda inputs: multiply(inputs, kernel, bias, "float32"),
        ),
    }


def microseconds(functions, inputs):
    """The best of the runs of each, which take turns: a machine is not always as fast."""
    import tensorflow as tf

    def repeat(function):
        @tf.function
        def loop(inputs):
            def body(index, carried):
                # What comes out goes in again, times zero, so that nothing is computed once for all.
                return index + 1, tf.reshape(function(inputs + 0.0 * carried), [-1])[0]

            return tf.while_loop(lambda index, carried: index < LOOPS, body, (0, 0.0))[1]

        loop(inputs)
        return loop

    loops = [repeat(function) for function in functions]
    seconds = [[] for _ in loops]
    for _ in range(RUNS):
        for loop, taken in zip(loops, seconds, strict=True):
            begin = time.perf_counter()
            loop(inputs).numpy()
            taken.append(time.perf_counter() - begin)
    return [1e6 * min(taken) / LOOPS for taken in seconds]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", choices=("one core", "default threads"), help="for internal use")
    options = parser.parse_args()
    if options.work:
        if options.work == "one core":
            one_core()
        import tensorflow as tf

        figures = {}
        for rows in (1, 64):
            for name, (inputs, *forms) in tasks(rows).items():
                empty, *costs = microseconds((tf.identity, *forms), inputs)
                above = (cost - empty for cost in costs)
                figures.setdefault(name, {})[f"{rows} rows"] = dict(zip(FORMS, above, strict=True))
        report(**figures)
        return
    figures = {work: measure(__file__, work) for work in ("one core", "default threads")}
    for work, row in figures.items():
        for name, costs in row.items():
            for rows, pair in costs.items():
                print(
                    f"{work:16} {name:42} {rows:8} " + "  ".join(f"{form} {cost:6.1f}" for form, cost in pair.items())
                )
    save("starts", "python benchmarks/starts.py", figures)


if __name__ == "__main__":
    main()
