"""Settings that every test shares."""

from hypothesis import HealthCheck, settings

# no deadline: a busy machine is not a failure
settings.register_profile(
    "breakeven", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("breakeven")
