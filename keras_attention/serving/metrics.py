"""Prometheus metrics at TensorFlow Serving's path, under its names where it has one."""

import functools

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric

PATH = "/monitoring/prometheus/metrics"

_MICROSECONDS = tuple(10 * 1.8**power for power in range(28))  # TensorFlow Serving's: 10 us to over a minute
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """What a server counts."""

    def __init__(self):
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._requests = {}
        self._latency = self._histogram(
            ":tensorflow:serving:request_latency",
            "Microseconds from the whole request to the answer.",
            ("model_name", "API", "entrypoint"),
            _MICROSECONDS,
        )
        self._runtime = self._histogram(
            ":tensorflow:serving:runtime_latency",
            "Microseconds in TensorFlow, waiting for a batch among them.",
            ("model_name", "API", "runtime"),
            _MICROSECONDS,
        )
        self._batch_size = self._histogram(
            ":tensorflow:serving:batching:processed_batch_size", "Rows of a batch.", ("model_name", "op_name"), _ROWS
        )
        self.in_flight = Gauge(
            "keras_attention_requests_in_flight", "Predictions that wait or run.", registry=self._registry
        )

    def count_request(self, model, status, seconds, api="REST"):
        """Notes an answered prediction.

        Args:
            model: name of the model; only of models that exist, lest strangers make up labels.
            status: TensorFlow's word for it, `"OK"` or an error's.
            seconds: that it took.
            api: `"REST"` or `"GRPC"`.
        """
        self._requests[model, status] = self._requests.get((model, status), 0) + 1
        self._latency(model, "predict", api).observe(seconds * 1e6)

    def observe_runtime(self, model, seconds):
        """Notes the time in TensorFlow."""
        self._runtime(model, "predict", "TF2").observe(seconds * 1e6)

    def observe_batch(self, model, rows):
        """Notes a batch that was computed."""
        self._batch_size(model, "keras_attention").observe(rows)

    def collect(self):
        """For the registry: the counter, whose name must not end in `_total` as Prometheus' own library wants it."""
        name = ":tensorflow:serving:request_count"
        metric = Metric(name, "Answered requests.", "unknown")
        for (model, status), count in list(self._requests.items()):
            metric.add_sample(name, {"model_name": model, "status": status}, count)
        return [metric]

    def text(self):
        """All of it in Prometheus' text format, bytes."""
        return generate_latest(self._registry)

    def _histogram(self, name, documentation, labels, buckets):
        histogram = Histogram(name, documentation, labels, buckets=buckets, registry=self._registry)
        return functools.cache(histogram.labels)
