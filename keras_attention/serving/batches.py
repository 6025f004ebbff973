"""Predictions that wait for the same function are computed together.

Each of them waits for its turn on one thread. The first whose turn it is takes
the others along, up to a number of rows; they find their outputs when theirs
comes. While a batch is computed the next one gathers. After one of several
requests there is a short pause, in which their clients ask again; a client
alone never waits.

TensorFlow's own op for it, `BatchFunction`, keeps every function that it was
ever given.
"""

import threading
import time

import numpy as np
import tensorflow as tf

LONGEST_PAUSE = 0.003  # seconds; a pause is at most half of what the batch before it took


class Batches:
    """The predictions that wait for one function.

    A prediction has `tensors` by name; `rows`, their number; `run()`, which
    asks `compute` for its outputs, unless it got them by then; and `take`,
    which gets them, or None where the batch failed.

    Args:
        function: from tensors by name to a dict of tensors, each row of which
            depends on one row of the inputs.
        most_rows: rows of a batch; a request that has more is one of its own.
    """

    def __init__(self, function, most_rows):
        self._function = function
        self._most_rows = most_rows
        self._pause = 0.0
        self._waiting = {}  # predictions in their order, without values
        self._lock = threading.Lock()

    def start(self, prediction, thread):
        """The future of a prediction, which leaves those that wait if it is cancelled.

        Args:
            prediction: what to run.
            thread: executor of one thread, the same for all predictions.
        """
        with self._lock:
            self._waiting[prediction] = None
        running = thread.submit(prediction.run)
        running.add_done_callback(lambda _: self._leave(prediction))
        return running

    def compute(self, first):
        """Gives a prediction, and those that wait with it, their outputs.

        Returns:
            The rows of the batch; None if it failed, perhaps because of a single
            row.
        """
        time.sleep(self._pause)
        begin = time.perf_counter()
        batch = self._gathered(first)
        rows = sum(prediction.rows for prediction in batch)
        try:
            outputs = self._outputs([prediction.tensors for prediction in batch])
        except (tf.errors.OpError, TypeError, ValueError):
            outputs = None
        self._pause = min(LONGEST_PAUSE, (time.perf_counter() - begin) / 2) if len(batch) > 1 else 0.0
        if outputs is None or any(array.shape[:1] != (rows,) for array in outputs.values()):
            for prediction in batch:
                prediction.take(None)
            return None
        _divide(outputs, batch)
        return rows

    def _gathered(self, first):
        """A prediction and, in their order, those that wait, as far as there is room."""
        with self._lock:
            self._waiting.pop(first, None)
            batch, room = [first], self._most_rows - first.rows
            for prediction in self._waiting:
                room -= prediction.rows
                if room < 0:
                    break
                batch.append(prediction)
            for prediction in batch[1:]:
                del self._waiting[prediction]
        return batch

    def _outputs(self, inputs):
        """The function's arrays by name for the inputs of several predictions."""
        if len(inputs) == 1:
            joined = inputs[0]
        else:
            joined = {name: tf.concat([tensors[name] for tensors in inputs], 0) for name in inputs[0]}
        return {name: array_of(tensor) for name, tensor in self._function(**joined).items()}

    def _leave(self, prediction):
        with self._lock:
            self._waiting.pop(prediction, None)


def _divide(outputs, batch):
    """Gives each prediction its rows of a batch's arrays."""
    begin = 0
    for prediction in batch:
        end = begin + prediction.rows
        prediction.take({name: array[begin:end] for name, array in outputs.items()})
        begin = end


def array_of(tensor):
    """A tensor of TensorFlow as an array; that of a single string as well."""
    value = tensor.numpy()
    return np.array(value, object) if isinstance(value, bytes) else value
