"""Property tests on a shared machine: how long an example takes says nothing about the code."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("provider", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("provider")
