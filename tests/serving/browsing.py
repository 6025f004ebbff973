"""A server with a page, and a person who sees and uses it in a browser."""

import contextlib
import json
import re
import socket
import threading
import urllib.parse

import uvicorn

from keras_attention.serving.app import make_app
from keras_attention.serving.model_sources import ModelsFolder
from keras_attention.serving.page import mount_page
from keras_attention.serving.predictor import Limits
from keras_attention.serving.store import ModelStore

from .conftest import Running, wait_until


@contextlib.contextmanager
def serving(folder, load, limits=Limits(), token=None):
    """A server with a page over a folder of models, each a servable that `load` makes."""
    store = ModelStore(ModelsFolder(folder), load, poll_seconds=0.05)
    app = make_app(store, limits, token)
    mount_page(app, store)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        store.start()
        thread.start()
        wait_until(lambda: server.started)
        yield Running(store, app, listener.getsockname()[1])
        server.should_exit = True
        thread.join()
        store.stop()


def add_model(folder, name):
    place = folder / name / "1"
    place.mkdir(parents=True)
    (place / "saved_model.pb").touch()


def wait_for_page(server):
    """Asks for the page until it is there, and not the one that stands in for it."""
    wait_until(lambda: "gradio" in server.ask("GET", "/")[1])


@contextlib.contextmanager
def opened(browser, port):
    """The page, opened anew; in the end, what the browser noted on the way is looked at."""
    browser.get("about:blank")  # what the page before says when it is left is not this one's
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    page = Page(browser, port)
    yield page
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert page.asked() == {f"127.0.0.1:{port}"}


class Page:
    """What a person sees and does."""

    def __init__(self, browser, port):
        self.browser = browser
        browser.get(f"http://127.0.0.1:{port}/")
        wait_until(lambda: self.run("return document.querySelector('#model input')?.value"))

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def find(self, selector):
        return self.browser.find_element("css selector", selector)

    def type(self, text):
        self.find("#text textarea, #text input").send_keys(text)

    def clear(self):
        self.find("#text textarea, #text input").clear()

    def choose(self, model):
        self.find("#model input").click()
        wait_until(lambda: self.texts("[role=option]"))
        self.find(f"[role=option][aria-label={model}]").click()

    def texts(self, selector):
        """Of all elements that are there."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map(one => one.innerText)", selector)

    def text(self, selector):
        """Of one element, once it is there."""
        wait_until(lambda: self.texts(selector))
        (text,) = self.texts(selector)
        return text

    def titles(self):
        """What the cells of the heatmap say when one points at them."""
        return self.run("return [...document.querySelectorAll('td[title]')].map(cell => cell.title)")

    def press(self, key):
        self.browser.switch_to.active_element.send_keys(key)

    def tab_to(self, selector):
        """Presses Tab until an element has the focus."""
        for _ in range(30):
            if self.run("return document.activeElement.matches(arguments[0])", selector):
                return
            self.press("\ue004")
        raise AssertionError(f"Tab does not lead to {selector}")

    def accessible(self, role):
        """What a screen reader says of all elements of a role."""
        nodes = self.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        children = {node["nodeId"]: node for node in nodes}

        def text(node):
            said = node.get("name", {}).get("value", "")
            return said or "".join(text(children[child]) for child in node.get("childIds", ()) if child in children)

        return [text(node) for node in nodes if node.get("role", {}).get("value") == role and text(node)]

    def asked(self):
        """The hosts that the browser asked for anything."""
        messages = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        addresses = [urllib.parse.urlsplit(request["request"]["url"]) for request in sent]
        return {address.netloc for address in addresses if address.scheme not in ("data", "blob", "chrome")}


@contextlib.contextmanager
def exploring(page):
    """The frame of the explorer, in which the page then is."""
    wait_until(lambda: page.texts("#conversion iframe"))
    page.browser.switch_to.frame(page.find("#conversion iframe"))
    wait_until(lambda: page.texts("#targets button"))
    yield lambda: re.sub("[\u2068\u2069]", "", page.text("#said"))
    page.browser.switch_to.default_content()
