"""The date converter under KServe's Python server: `python serving_kserve.py VERSION PORT`."""

import kserve
from serving_peer import PORT, load


class Dates(kserve.Model):
    def __init__(self):
        super().__init__("dates")
        self.answer = load()
        self.ready = True

    def predict(self, payload, headers=None):
        return {"predictions": self.answer(payload["instances"])}


if __name__ == "__main__":
    kserve.ModelServer(http_port=PORT, enable_grpc=False, enable_latency_logging=False).start([Dates()])
