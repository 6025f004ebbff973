"""What the laws share: layers that are made once, and a compiler that does not try hard."""

import os

import pytest

from tests.laws.cases import ATTENTIONS
from tests.laws.tools import BACKEND, once


def pytest_configure(config):
    """On JAX nearly all the time goes into compiling what runs once or twice: quickly, and never the same twice."""
    if BACKEND != "jax":
        return
    import jax

    if jax.__version__.startswith("0.10."):  # another version may not know the flag, and abort
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")  # half the time to compile
    jax.config.update("jax_disable_most_optimizations", True)
    if config.pluginmanager.has_plugin("cacheprovider"):
        jax.config.update("jax_compilation_cache_dir", str(config.cache.mkdir("jax")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(scope="session")
def attention_of():
    """A function of a name in `ATTENTIONS`: that layer, for laws that only call it."""
    return once(lambda name: ATTENTIONS[name]())
