"""Settings that every test shares."""

import pytest
from hypothesis import HealthCheck, settings

# no deadline: a busy machine is not a failure
settings.register_profile(
    "breakeven", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("breakeven")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Fitted models of the tests' datasets stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
