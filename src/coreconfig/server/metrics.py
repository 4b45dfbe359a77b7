"""Every metric of the server, its name and its labels, in one place.

Labels never hold keys, values, environments or principals: they would grow without bound, and ``/metrics``
is read by people who may not know these names.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The metrics of one server in a registry of its own, so that several servers live in one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "coreconfig_http_requests", "HTTP requests", ["route", "method", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "coreconfig_http_request_seconds",
            "Time to answer",
            ["route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.commits = Counter("coreconfig_commits", "Revisions that came into the log", registry=registry)
        self.revision = Gauge("coreconfig_revision", "Revision that this server serves", registry=registry)
        self.epoch = Gauge("coreconfig_epoch", "Epoch that this server serves", registry=registry)
        self.replica_lag = Gauge(
            "coreconfig_replica_lag_revisions", "Revisions not yet served", registry=registry
        )
        self.replica_healthy = Gauge(
            "coreconfig_replica_healthy", "1 while the log can be followed, else 0", registry=registry
        )
        self.log_damaged = Gauge(
            "coreconfig_log_damaged", "1 while a row of the log is not what was written", registry=registry
        )
        self.clients_ahead = Gauge(
            "coreconfig_clients_ahead",
            "Instances that hold something newer than this server has",
            registry=registry,
        )
        self.views = Gauge("coreconfig_views", "Views kept up to date", registry=registry)
        self.sessions = Gauge("coreconfig_sessions", "Open streams", registry=registry)
        self.pushes = Counter("coreconfig_pushes", "What was sent to sessions", ["kind"], registry=registry)
        self.acks = Counter("coreconfig_acks", "Answers to pushes", ["outcome"], registry=registry)
        self.nacks = Counter("coreconfig_nacks", "Pushes that instances refused", registry=registry)
        self.resyncs = Counter("coreconfig_resyncs", "Sessions that had to start over", registry=registry)
        self.refused_sessions = Counter(
            "coreconfig_refused_sessions", "Connections turned away", ["reason"], registry=registry
        )
        self.refused_logins = Counter(
            "coreconfig_refused_tokens", "Requests without a valid token", registry=registry
        )

    def text(self) -> bytes:
        """The exposition format of Prometheus."""
        return generate_latest(self.registry)
