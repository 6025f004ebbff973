"""The models of a source: loaded, replaced while they are in use.

    FOLDER/<name>/<version>/saved_model.pb

A new version is loaded and warmed up beside the old one and takes its place by
one assignment. Whoever holds the old one finishes with it. A version that
cannot be loaded is reported, and the one before it goes on.
"""

import threading
import weakref
from typing import NamedTuple

from keras_attention.serving.errors import RequestError
from keras_attention.serving.logs import LOG


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
    """Keeps the versions of each model loaded that its `ModelConfig` asks for.

    Args:
        source: says which models there are; see `keras_attention.serving.model_sources`.
        load: `load(name, version, folder)`, which gives a `Servable` that is warm.
        poll_seconds: how often to look for new versions.
        tidy: called after models came or went, and again while one that went is
            still in memory.

    Attributes:
        source: as given.
        watchers: list of functions without arguments, which are called after
            models came or went, and after the first look.
    """

    def __init__(self, source, load, poll_seconds=1.0, tidy=lambda: None):
        self.source = source
        self.poll_seconds = poll_seconds
        self.watchers = []
        self._load = load
        self._tidy = tidy
        self._gone = []  # weak references to what was loaded
        self._loaded = {}  # servables by version by name; each dict is replaced, since others read them meanwhile
        self._places = {}  # the folders that they are from, by name and version
        self._labels = {}
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
    def known(self):
        """Of all models that there are, also of those whose versions cannot be loaded, sorted."""
        return sorted(self._statuses)

    @property
    def ready(self):
        """Whether everything was looked at once, and a model answers; a broken one keeps no other from its clients."""
        return self._looked and bool(self._loaded)

    def get(self, name, version=None, label=None):
        """The servable that answers for a model: that of the highest version, if none is asked for.

        Raises:
            RequestError: 404 for a model or version that is not loaded, 400 for
                a label that the model has not.
        """
        versions = self._loaded.get(name, {})
        if label is not None:
            version = self._version_of(name, label)
        servable = versions.get(max(versions, default=None) if version is None else version)
        if servable is None:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise RequestError(404, f"Servable not found for request: {asked}")
        return servable

    def versions(self, name):
        """The numbers of the versions of a model that can be asked, ascending."""
        return sorted(self._loaded.get(name, {}))

    def statuses(self, name, version=None, label=None):
        """The `VersionStatus` of a model's versions, the newest first.

        Raises:
            RequestError: 404 if there is none, 400 for a label that the model
                has not.
        """
        if label is not None:
            version = self._version_of(name, label)
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
        configs = self.source.models()
        folders = {name: found for name, config in configs.items() if (found := config.folders())}
        for name in self._statuses.keys() - folders.keys():
            self._remove(name)
        before = dict(self._loaded)
        for name in folders:
            self._update(name, configs[name], folders[name])
        changed = before != self._loaded or not self._looked
        self._looked = True
        del before
        self._gone = [reference for reference in self._gone if reference() is not None]
        if changed or self._gone:
            self._tidy()
        if changed:
            for watcher in self.watchers:
                watcher()

    def _watch(self):
        while not self._stop.is_set():
            try:
                self.look()
            except OSError as error:  # the folder may be gone for a moment
                LOG.error("cannot read the models' folder", extra={"fields": {"error": str(error)}})
            self._stop.wait(self.poll_seconds)

    def _version_of(self, name, label):
        if label not in self._labels.get(name, {}):
            raise RequestError(400, f"Unrecognized servable version label: {label}")
        return self._labels[name][label]

    def _update(self, name, config, folders):
        """Loads the highest versions that are wanted and can be loaded, then drops the others."""
        statuses = self._statuses.setdefault(name, {})
        for number in statuses.keys() - folders.keys() - self._loaded.get(name, {}).keys():
            statuses.pop(number)
        kept = set()
        for number, place in sorted(folders.items(), reverse=True):
            if len(kept) == config.most:
                break
            if self._places.get((name, number)) == place or self._try_to_load(name, number, place, statuses):
                kept.add(number)
        self._labels[name] = config.labels
        if kept:  # else what is in memory goes on, though it is gone from disk
            for number in self._loaded[name].keys() - kept:
                self._drop(name, number)
                statuses[number] = VersionStatus(number, "END")

    def _try_to_load(self, name, number, place, statuses):
        """Whether a version could be loaded, and thus answers from now on."""
        look = _look_of(place)
        if self._failed.get(place) == look:
            return False
        statuses[number] = VersionStatus(number, "LOADING")
        try:
            servable = self._load(name, number, place)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"[:500]
            self._failed[place] = look
            statuses[number] = VersionStatus(number, "END", message)
            fields = {"model": name, "version": number, "error": message}
            LOG.error("version cannot be loaded; an older one goes on if there is one", extra={"fields": fields})
            return False
        self._let_go(self._loaded.get(name, {}).get(number))
        self._loaded[name] = {**self._loaded.get(name, {}), number: servable}
        self._places[name, number] = place
        statuses[number] = VersionStatus(number, "AVAILABLE")
        LOG.info("version available", extra={"fields": {"model": name, "version": number}})
        return True

    def _remove(self, name):
        """Forgets a model."""
        LOG.info("model removed", extra={"fields": {"model": name}})
        for number in self._loaded.get(name, {}):
            self._drop(name, number)
        for table in (self._loaded, self._labels, self._statuses):
            table.pop(name, None)

    def _drop(self, name, number):
        versions = dict(self._loaded[name])
        self._let_go(versions.pop(number))
        self._loaded[name] = versions
        self._places.pop((name, number))

    def _let_go(self, servable):
        if servable is not None:
            self._gone.append(weakref.ref(servable))


def _look_of(place):
    """Names, sizes and times of a version's files: what changes while it is being copied."""
    return sorted(
        (str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in place.rglob("*") if path.is_file()
    )
