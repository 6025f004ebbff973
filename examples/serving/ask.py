"""Asks a server over REST or gRPC, and shows what each character of the answer was read from."""

import argparse

from keras_attention.serving.client import GrpcClient, RestClient


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="*", default=["3 May 1979", "Tuesday, September 25, 1984"])
    parser.add_argument("--model", default="dates")
    parser.add_argument("--url", default="http://localhost:8501", help="of the REST server")
    parser.add_argument("--grpc", metavar="HOST:PORT", help="ask over gRPC instead")
    parser.add_argument("--token", help="if the server wants one")
    options = parser.parse_args()
    ask = (
        GrpcClient(options.grpc, options.model, token=options.token)
        if options.grpc
        else RestClient(options.url, options.model, token=options.token)
    )
    for text, conversion in zip(options.texts, ask(options.texts), strict=True):
        print(f"{text} -> {conversion.text} (log-probability {conversion.log_prob:.3f})")
        for token, weights in zip(conversion.tokens, conversion.weights, strict=True):
            best = int(weights.argmax())
            print(
                f"    {token} from {conversion.source_tokens[best]!r}, character {best + 1}, weight {weights[best]:.2f}"
            )


if __name__ == "__main__":
    main()
