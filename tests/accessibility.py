"""What axe finds on a page, for people who see or move otherwise."""

import contextlib
import pathlib

import pytest


def serious_faults(browser, without=()):
    """The rules that the document in the browser breaks seriously, each with the first element that does.

    A rule that axe could not apply is among them.

    Args:
        browser: shows the document, or a frame of it.
        without: names of rules that are left out.
    """
    axe = pytest.importorskip(
        "selenium_axe_python", reason="selenium-axe-python is not installed: pip install '.[test]'"
    )
    script = pathlib.Path(axe.__file__).parent / "axe-core/axe.min.js"
    browser.execute_script(script.read_text(encoding="utf-8"))
    rules = {rule: {"enabled": False} for rule in without}
    found = browser.execute_async_script(
        "axe.run(document, { rules: arguments[0], iframes: false }).then(arguments[1])", rules
    )
    broken = [(one["id"], one["message"]) for one in found["incomplete"] if one.get("error")]
    serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    return [*broken, *((one["id"], one["nodes"][0]["html"]) for one in serious)]


@contextlib.contextmanager
def colour_scheme(browser, scheme):
    """The browser as one of a person who chose light or dark."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    yield
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
