"""The date converter under LitServe, with its batching: `python serving_litserve.py VERSION PORT`."""

import litserve
from serving_peer import PORT, load


class Dates(litserve.LitAPI):
    def setup(self, device):
        self.answer = load()

    def decode_request(self, request):
        return request["instances"][0]

    def predict(self, texts):
        return self.answer(list(texts))

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return {"predictions": [output]}


if __name__ == "__main__":
    api = Dates(max_batch_size=32, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(host="127.0.0.1", port=PORT, generate_client_file=False, log_level="error")
