#!/bin/sh
# Asks a server for dates, with nothing but curl: rows, columns, status, a wrong request, metrics.
set -eu
model="${1:-http://localhost:8501/v1/models/dates}"

curl -sS "$model:predict" -d '{"instances": ["3 May 1979", "Tuesday, September 25, 1984"]}'
echo
curl -sS "$model:predict" -d '{"inputs": {"text": ["3 May 1979", {"b64": "Mi8xMC85Mw=="}]}}'
echo
curl -sS "$model"
echo
curl -sS "$model:predict" -d '{"instances": [3]}'
echo
