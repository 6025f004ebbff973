"""How many requests a second a server answers, and how long each client waits."""

import argparse
import concurrent.futures
import http.client
import json
import statistics
import time
import urllib.parse


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:8501")
    parser.add_argument("--model", default="dates")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--text", default="3 May 1979")
    options = parser.parse_args()
    host = urllib.parse.urlsplit(options.url).netloc
    body = json.dumps({"instances": [options.text]})
    end = time.monotonic() + options.seconds

    def client(_):
        connection, seconds = http.client.HTTPConnection(host), []
        while time.monotonic() < end:
            begin = time.monotonic()
            connection.request("POST", f"/v1/models/{options.model}:predict", body)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise SystemExit(f"{answer.status}: {text.decode()}")
            seconds.append(time.monotonic() - begin)
        return seconds

    with concurrent.futures.ThreadPoolExecutor(options.clients) as pool:
        seconds = sorted(second for row in pool.map(client, range(options.clients)) for second in row)
    print(
        f"{len(seconds) / options.seconds:.0f} requests a second from {options.clients} clients; median "
        f"{1000 * statistics.median(seconds):.1f} ms, "
        f"99 % within {1000 * seconds[int(0.99 * (len(seconds) - 1))]:.1f} ms"
    )


if __name__ == "__main__":
    main()
