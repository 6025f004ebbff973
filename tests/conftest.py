"""What all tests share: the same random numbers in every run, and a converter whose answers are right."""

import gc
import os
import shutil

import hypothesis
import keras
import pytest

from tests.unchecked import unchecked_exports

FORMATS = ("d MMMM y",)

# A third of the time to compile: what runs once gains nothing from fast code.
XLA_FLAGS_OF_TENSORFLOW = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false"
)

# No test is timed, and one that fails does so again; `--hypothesis-profile default` looks for other examples.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")


def pytest_configure(config):
    """Small tensors need one thread, and what runs once or twice a compiler that does not try hard."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.__version__.startswith("2.21."):  # another version may not know a flag, and abort
            os.environ.setdefault("XLA_FLAGS", XLA_FLAGS_OF_TENSORFLOW)
    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(1)
    if keras.backend.backend() == "jax":
        import jax

        if jax.__version__.startswith("0.10."):  # another version may not know the flag, and abort
            os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")  # half the time to compile
        jax.config.update("jax_disable_most_optimizations", True)
        if config.pluginmanager.has_plugin("cacheprovider"):  # nothing is compiled twice, whichever process needs it
            jax.config.update("jax_compilation_cache_dir", str(config.cache.mkdir("jax")))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
            jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


# What takes long to make, and is made once: all modules with a test that asks for it are one group.
SHARED = ("trained", "corpus")


def pytest_collection_finish():
    """What is there when the tests begin stays, and is not searched for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The tests of a module run in one process (`--dist loadgroup`), so that what they share is made once.

    The laws, which share little, come last and one by one: they fill up both processes.
    """
    groups = {}
    for item in items:
        if "laws" not in item.path.parts:
            shared = [name for name in SHARED if name in getattr(item, "fixturenames", ())]
            groups[item.path] = shared[0] if shared else groups.get(item.path, item.path.stem)
    for item in items:
        if item.path in groups:
            item.add_marker(pytest.mark.xdist_group(groups[item.path]))
    items.sort(key=lambda item: (item.path not in groups, groups.get(item.path) not in SHARED))


@pytest.fixture(autouse=True)
def _same_weights():
    """Every test begins with the same random numbers."""
    keras.utils.set_random_seed(0)


@pytest.fixture
def eagerly():
    """What TensorFlow would make a graph of runs operation by operation: for few updates that takes a tenth as long."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def unchecked():
    """No fresh process looks at an export."""
    with unchecked_exports():
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Folder of a converter of dates such as `3 May 1979`, right nearly always after a few seconds of training."""
    from keras_attention.data import generate_dates  # these need TensorFlow, which not every backend has
    from keras_attention.recipes import train_converter

    folder = tmp_path_factory.mktemp("run")
    pairs = generate_dates(4_100, seed=1, formats=FORMATS)
    train_converter(
        pairs[:4_000],
        pairs[4_000:],
        folder,
        source_normalization="NFKC",
        epochs=4,
        units=32,
        batch_size=64,
        learning_rate=1e-2,
        verbose=0,
    )
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A Chromium without a window, whose notes and requests are kept."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium, which drives a browser, is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium or its driver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    for flag in [*flags.split(), "disable-component-update", "disable-sync", "window-size=1280,900"]:
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as browser:
        yield browser
