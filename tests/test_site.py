"""The documentation: it builds without a warning, forgets no page and quotes messages that exist."""

import functools
import http.server
import pathlib
import re
import subprocess
import sys
import threading

import pytest

from keras_attention import layers

from .accessibility import colour_scheme, serious_faults

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Of other programs, or of a status code: not in this package's code.
OF_OTHERS = (
    "Op type not registered",
    "undefined symbol",
    "Could not locate class",
    "Unknown layer",
    "address already in",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built strictly: a broken link, anchor or name fails."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install '.[docs]'")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_document_is_a_page(site):
    pages = {path.parent.relative_to(site).as_posix() for path in site.rglob("index.html")}
    for document in DOCS.rglob("*.md"):
        place = document.relative_to(DOCS).with_suffix("").as_posix()
        assert re.sub(r"(^|/)(index|README)$", "", place) in pages | {"", "."}, document


def test_documents_outside_docs_come_along(site):
    benchmarks = (site / "benchmarks/index.html").read_text(encoding="utf-8")
    assert 'href="../dates/"' in benchmarks
    assert (site / "examples/sentiment/index.html").is_file()


def test_notebooks_are_pages_with_their_pictures(site):
    page = (site / "notebooks/own_layer/index.html").read_text(encoding="utf-8")
    assert 'src="data:image/png;base64,' in page
    assert "padding changes nothing" in page


def test_every_public_layer_is_in_the_reference(site):
    reference = (site / "reference/layers/index.html").read_text(encoding="utf-8")
    missing = [name for name in layers.__all__ if f'id="keras_attention.layers.{name}"' not in reference]
    assert missing == []


def test_reference_shows_arguments_and_examples(site):
    reference = (site / "reference/layers/index.html").read_text(encoding="utf-8")
    assert "Call args:" in reference
    assert "&gt;&gt;&gt; </span>" in reference
    assert "<blockquote>" not in reference


def test_site_asks_no_other_host(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(https?://[^"]+)"', page.partition("<body")[0]) == []
    assert re.findall(r'<script[^>]* src="https?://[^"]+"', page) == []


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served."""
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, *arguments):
        """Says nothing."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["", "start/layer/", "ko/attention/", "reference/visualization/", "benchmarks/"])
def test_page_has_no_serious_fault_for_people_who_see_or_move_otherwise(page, scheme, address, browser):
    with colour_scheme(browser, scheme):
        browser.get(f"{address}/{page}")
        assert serious_faults(browser) == []


def test_every_message_of_the_troubleshooting_page_is_one_of_the_code():
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "keras_attention").rglob("*.py"))
    code = re.sub(r'"\s*f?"', "", code)  # strings that go on in the next line
    quoted = re.findall(
        r"^\*\*(?:400 )?`([^`]+)`", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(quoted) > 20
    for message in quoted:
        parts = [part.strip() for part in message.split("...") if part.strip()]
        known = message.startswith(OF_OTHERS) or all(part in code for part in parts)
        assert known, f"no message of the code says {message!r}"
