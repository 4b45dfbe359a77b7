"""What a client counts and says about itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.client.states import NOTHING, state_of

from coreconfig.client import telemetry
from coreconfig.client.health import Diagnostics, HealthStatus, Tally, status_of
from coreconfig.client.state import only_defaults
from coreconfig.client.store import Availability
from coreconfig.errors import Issue


def test_reads_are_counted_for_the_layer_that_answered_them() -> None:
    """Settled only when the layer changes, so that a read costs one increment."""
    tally = Tally()
    file, service = state_of({"a": 1}), state_of({"a": 1})
    object.__setattr__(file, "source", "file")
    tally.settle(2, file, Availability.CACHED)
    tally.settle(5, service, Availability.CURRENT)
    tally.settle(9, service, Availability.CACHED)
    assert tally.hits(10) == {"defaults": 2, "file": 3, "service": 5}
    assert tally.fallbacks(10) == 3 + 1


@pytest.mark.parametrize(
    ("availability", "problems", "required", "status"),
    [
        (Availability.CURRENT, (), True, "healthy"),
        (Availability.CURRENT, (Issue("x", "y"),), True, "degraded"),
        (Availability.CACHED, (), True, "degraded"),
        (Availability.DEFAULTS, (), True, "unhealthy"),
        (Availability.DEFAULTS, (), False, "degraded"),
    ],
)
def test_the_word_for_a_clients_health(availability: Any, problems: Any, required: bool, status: str) -> None:
    """Unhealthy is only who cannot answer and should."""
    assert status_of(availability, problems, required=required) == status


class Client:
    """A client with counts."""

    def get_diagnostics(self) -> Diagnostics:
        return Diagnostics(
            health=HealthStatus("healthy", Availability.CURRENT, 1, 2.5, True),
            service="shop",
            environment="dev",
            instance="i",
            url="http://x",
            source="service",
            epoch=1,
            digest="",
            hits={"service": 7, "file": 2},
            misses=3,
            fallbacks=2,
            defaults_used=4,
            applied=5,
            rejected=1,
            reconnects=0,
            callback_failures=0,
            retrieval_seconds=1e-7,
        )


@pytest.fixture
def observed() -> Iterator[Any]:
    """What a program's exporter would read."""
    metrics = pytest.importorskip("opentelemetry.metrics")
    sdk = pytest.importorskip("opentelemetry.sdk.metrics")
    export = pytest.importorskip("opentelemetry.sdk.metrics.export")
    reader = export.InMemoryMetricReader()
    provider = sdk.MeterProvider(metric_readers=[reader])
    metrics.set_meter_provider(provider)
    yield reader
    provider.shutdown()


def test_counts_are_observable_instruments_with_the_names_of_the_interface(observed: Any) -> None:
    """Read when the exporter asks; a closed client is not seen any more."""
    client = Client()
    telemetry.observe(client)
    try:
        seen = points(observed)
    finally:
        telemetry.forget(client)
    assert seen["config.cache.hit"] == {(7, "service"), (2, "file")}
    assert seen["config.cache.miss"] == {(3, None)}
    assert seen["config.cache.fallback"] == {(2, None)}
    assert seen["config.default_used"] == {(4, None)}
    assert seen["config.update.applied"] == {(5, None)}
    assert seen["config.update.rejected"] == {(1, None)}
    assert seen["config.staleness"] == {(2.5, None)}
    assert seen["config.retrieval.duration"] == {(1e-7, None)}


def points(reader: Any) -> dict[str, set[tuple[Any, Any]]]:
    """The points of our service, by instrument."""
    found = reader.get_metrics_data().resource_metrics[0].scope_metrics
    return {
        metric.name: {
            (point.value, point.attributes.get("layer"))
            for point in metric.data.data_points
            if point.attributes["service"] == "shop" and point.attributes["environment"] == "dev"
        }
        for scope in found
        for metric in scope.metrics
    }


def test_nothing_is_counted_for_what_was_never_read() -> None:
    """No layer appears with zero reads."""
    tally = Tally()
    tally.settle(0, only_defaults(NOTHING), Availability.DEFAULTS)
    assert tally.hits(0) == {}
