"""The models in a folder: found, loaded, replaced while they are in use.

    FOLDER/<name>/<version>/saved_model.pb

A new version is loaded and warmed up beside the old one and takes its place by
one assignment. Whoever holds the old one finishes with it. A version that
cannot be loaded is reported, and the one before it goes on.
"""

import pathlib
import threading
import weakref
from typing import NamedTuple

from keras_attention.export.saved_task import version_folders
from keras_attention.serving.logs import LOG
from keras_attention.serving.protocol import RequestError


class VersionStatus(NamedTuple):
    """How a version stands.

    Attributes:
        version: number of the version.
        state: `"LOADING"`, `"AVAILABLE"` or `"END"`.
        error: why it could not be loaded; empty if it could.
    """

    version: int
    state: str
    error: str = ""


class ModelStore:
    """Keeps the newest version of each model loaded.

    Args:
        folder: the models' folder, or one model's, with versions right in it.
        load: `load(name, version, folder)`, which gives a `Servable` that is warm.
        poll_seconds: how often to look for new versions.
        tidy: called after models came or went, and again while one that went is
            still in memory.

    Raises:
        FileNotFoundError: if the folder is not there.
    """

    def __init__(self, folder, load, poll_seconds=1.0, tidy=lambda: None):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"{folder} is not a folder. Export a model into it: `keras-attention export RUN {folder}/NAME`."
            )
        self.poll_seconds = poll_seconds
        self._load = load
        self._tidy = tidy
        self._gone = []  # weak references to what was loaded
        self._loaded = {}
        self._statuses = {}
        self._failed = {}  # how a version looked that could not be loaded: it is tried again when that changes
        self._looked = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="model-store", daemon=True)

    def start(self):
        """Begins to look and to load, in a thread of its own."""
        self._thread.start()

    def stop(self):
        """Ends that thread, after what it is loading."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def names(self):
        """Of the models that can be asked, sorted."""
        return sorted(self._loaded)

    @property
    def ready(self):
        """Whether everything was looked at once, and a model answers; a broken one keeps no other from its clients."""
        return self._looked and bool(self._loaded)

    def get(self, name, version=None):
        """The servable that answers for a model.

        Raises:
            RequestError: 404 for a model or version that is not loaded.
        """
        servable = self._loaded.get(name)
        if servable is None or version not in (None, servable.version):
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise RequestError(404, f"Servable not found for request: {asked}")
        return servable

    def statuses(self, name, version=None):
        """The `VersionStatus` of a model's versions, the newest first.

        Raises:
            RequestError: 404 if there is none.
        """
        found = [
            status
            for status in sorted(self._statuses.get(name, {}).values(), reverse=True)
            if version in (None, status.version)
        ]
        if not found:
            which = "any versions" if version is None else f"version {version}"
            raise RequestError(404, f"Could not find {which} of model {name}")
        return found

    def look(self):
        """Loads what is new, and drops what is gone."""
        found = self._find()
        for name in self._statuses.keys() - found.keys():
            LOG.info("model removed", extra={"fields": {"model": name}})
            self._let_go(self._loaded.pop(name, None))
            self._statuses.pop(name)
        before = dict(self._loaded)
        for name, folders in found.items():
            self._update(name, folders)
        self._looked = True
        changed = before != self._loaded
        del before
        self._gone = [reference for reference in self._gone if reference() is not None]
        if changed or self._gone:
            self._tidy()

    def _watch(self):
        while not self._stop.is_set():
            try:
                self.look()
            except OSError as error:  # the folder may be gone for a moment
                LOG.error("cannot read the models' folder", extra={"fields": {"error": str(error)}})
            self._stop.wait(self.poll_seconds)

    def _find(self):
        """The folders of the versions, by number, by model name."""
        folders = version_folders(self.folder)
        if folders:
            return {self.folder.resolve().name: folders}
        models = [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return {path.name: folders for path in models if (folders := version_folders(path))}

    def _update(self, name, folders):
        """Makes the newest version that can be loaded the one that answers."""
        current = self._loaded.get(name)
        statuses = self._statuses.setdefault(name, {})
        for number in statuses.keys() - folders.keys():
            statuses.pop(number)
        for number, place in sorted(folders.items(), reverse=True):
            if current is not None and number == current.version:
                break
            look = _look_of(place)
            if self._failed.get(place) == look:
                continue
            statuses[number] = VersionStatus(number, "LOADING")
            servable = self._try_to_load(name, number, place, look, statuses)
            if servable is not None:
                self._replace(name, current, servable, statuses)
                break
        if current is not None and current.version not in folders and self._loaded.get(name) is current:
            statuses[current.version] = VersionStatus(current.version, "AVAILABLE")  # gone from disk, alive in memory

    def _try_to_load(self, name, number, place, look, statuses):
        try:
            servable = self._load(name, number, place)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"[:500]
            self._failed[place] = look
            statuses[number] = VersionStatus(number, "END", message)
            fields = {"model": name, "version": number, "error": message}
            LOG.error("version cannot be loaded; an older one goes on if there is one", extra={"fields": fields})
            return None
        return servable

    def _replace(self, name, old, new, statuses):
        self._loaded[name] = new
        statuses[new.version] = VersionStatus(new.version, "AVAILABLE")
        if old is not None:
            statuses[old.version] = VersionStatus(old.version, "END")
            self._let_go(old)
        LOG.info("version available", extra={"fields": {"model": name, "version": new.version}})

    def _let_go(self, servable):
        if servable is not None:
            self._gone.append(weakref.ref(servable))


def _look_of(place):
    """Names, sizes and times of a version's files: what changes while it is being copied."""
    return sorted(
        (str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in place.rglob("*") if path.is_file()
    )
