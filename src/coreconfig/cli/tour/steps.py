"""The steps of the tour, each of which has to see what it tells."""

from __future__ import annotations

import time
from typing import Any

from coreconfig.cli.explain import explanation
from coreconfig.cli.files import plan_edits, read_environments
from coreconfig.cli.receipts import place
from coreconfig.cli.targets import Target
from coreconfig.cli.tour.screen import Screen, StepFailed, now
from coreconfig.cli.tour.stage import (
    ARRIVE_SECONDS,
    DEFAULT_PORT,
    ENVIRONMENT,
    RETURN_SECONDS,
    SERVICES,
    START_SECONDS,
    Stage,
)
from coreconfig.model.documents import from_document

ENGINE = Target(ENVIRONMENT, "trading-engine")
POSITION, INTERVAL = "risk.maxPositionSize", "metrics.interval"
QUESTIONS = {
    "database-service": "database.pool.max",
    "trading-engine": POSITION,
    "ai-orchestration": "ai.providers.openai.model",
    "data-bridge": "websocket.port",
}
FILES = ("global", "development", "production", "trading-demo")


def run(stage: Stage, screen: Screen) -> None:
    """The whole tour. Raises `StepFailed` at the first step that does not show what it should."""
    start_server(stage, screen)
    apply_environments(stage, screen)
    start_services(stage, screen)
    change_one_value(stage, screen)
    change_what_all_inherit(stage, screen)
    kill_server(stage, screen)
    answer_without_server(stage, screen)
    restart_server(stage, screen)
    catch_up(stage, screen)
    explain_value(stage, screen)


def start_server(stage: Stage, screen: Screen) -> None:
    """A server on an SQLite file."""
    with screen.step("Start the server on SQLite"):
        began = now()
        stage.start_server()
        screen.seen(f"{stage.url} is ready", now() - began)
        if stage.moved:
            screen.say(f"port {DEFAULT_PORT} is taken by another program, so this is a free one")


def apply_environments(stage: Stage, screen: Screen) -> None:
    """The four files become four environments in one change."""
    with screen.step(f"Apply {len(FILES)} environment files"):
        wanted = read_environments([str(stage.example / f"{name}.yaml") for name in FILES])
        current = {name: _current(stage, name) for name in wanted}
        began = now()
        edits = plan_edits(current, wanted)
        if edits:
            receipt = stage.api.change(edits, reason="coreconfig demo").body
            screen.seen(f"{', '.join(wanted)}: revision {receipt['revision']}", now() - began)
        else:
            screen.seen(f"{', '.join(wanted)}: nothing to change")


def start_services(stage: Stage, screen: Screen) -> None:
    """Four processes that read what they inherit."""
    with screen.step(f"Start four services in {ENVIRONMENT}"):
        began = now()
        for service in SERVICES:
            stage.start_service(service)
        for service in SERVICES:
            line, _ = stage.services[service].wait_for(r"\] ready ", seconds=START_SECONDS)
            screen.seen(f"{service} is ready", line.at - began)
            for told in stage.services[service].lines:
                if told is line:
                    break
                screen.say(f"  {told.text.partition('] ')[2]}")
        wait_for_fleet(stage)


def change_one_value(stage: Stage, screen: Screen) -> None:
    """A value of one service, seen by the process that reads it."""
    with screen.step(f"Set {POSITION} for {ENGINE}"):
        old = stage.api.get(ENGINE.path("configuration", POSITION)).body["value"]
        value = 2500 if old != 2500 else 1500
        marks, began = stage.marks(), now()
        receipt = _set(stage, ENGINE, POSITION, value)
        screen.seen(f"committed as revision {receipt['revision']}", now() - began)
        line = stage.reported(
            ENGINE.service or "", POSITION, value, since=marks["trading-engine"], seconds=ARRIVE_SECONDS
        )
        screen.seen(f"trading-engine reports {old} -> {value}", line.at - began)
        _expect_only(stage, receipt, {"trading-engine"})


def change_what_all_inherit(stage: Stage, screen: Screen) -> None:
    """A value two environments up, seen by all four."""
    with screen.step(f"Set {INTERVAL} in global, which all inherit"):
        old = stage.api.get(Target("global").path("configuration", INTERVAL)).body["value"]
        value = 15000 if old != 15000 else 20000
        marks, began = stage.marks(), now()
        receipt = _set(stage, Target("global"), INTERVAL, value)
        screen.seen(f"{old} -> {value} committed as revision {receipt['revision']}", now() - began)
        _all_report(stage, screen, value, marks, began=began, seconds=ARRIVE_SECONDS)
        screen.say("The receipt names everyone it reaches:")
        for reached in sorted(place(one) for one in receipt["affected"] if one.get("service")):
            screen.say(f"  {reached}")
        _expect_only(stage, receipt, set(SERVICES))


def kill_server(stage: Stage, screen: Screen) -> None:
    """No good-bye: as a crash or a power cut would."""
    with screen.step("Kill the server with -9"):
        screen.seen(f"process {stage.kill_server()} is gone")


def answer_without_server(stage: Stage, screen: Screen) -> None:
    """Reads never need the network."""
    with screen.step("Ask the services while nobody serves"):
        for service in SERVICES:
            answer, seconds = _answer_alone(stage, service, QUESTIONS[service])
            if "(absent)" in answer:
                raise StepFailed(f"{service} has lost its configuration: {answer}")
            screen.seen(f"{service}: {answer}", seconds)


def _answer_alone(stage: Stage, service: str, key: str) -> tuple[str, float]:
    """A service's answer from when it has noticed that the server is gone."""
    deadline = now() + ARRIVE_SECONDS
    while True:
        answer, seconds = stage.ask(service, key)
        if "CURRENT" not in answer:
            return answer, seconds
        if now() > deadline:
            raise StepFailed(f"{service} does not notice that the server is gone: {answer}")
        time.sleep(0.05)


def restart_server(stage: Stage, screen: Screen) -> None:
    """What was acknowledged is still there."""
    with screen.step("Start the server again"):
        began = now()
        stage.start_server()
        screen.seen(f"{stage.url} is ready", now() - began)
        revision = stage.api.get(ENGINE.path("configuration", POSITION)).body["revision"]
        screen.seen(f"nothing is lost: it stands at revision {revision}")


def catch_up(stage: Stage, screen: Screen) -> None:
    """A change made at once; each service has it as soon as it has found the server again."""
    with screen.step("Change two values while the services find their way back"):
        marks, began = stage.marks(), now()
        position = stage.api.get(ENGINE.path("configuration", POSITION)).body["value"] + 500
        interval = stage.api.get(Target("global").path("configuration", INTERVAL)).body["value"] + 1000
        edits = [_edit(ENGINE, POSITION, position), _edit(Target("global"), INTERVAL, interval)]
        revision = stage.api.change(edits, reason="coreconfig demo").body["revision"]
        screen.seen(f"both committed as revision {revision}", now() - began)
        line = stage.reported(
            "trading-engine", POSITION, position, since=marks["trading-engine"], seconds=RETURN_SECONDS
        )
        screen.seen(f"trading-engine reports {POSITION} -> {position}", line.at - began)
        _all_report(stage, screen, interval, marks, began=began, seconds=RETURN_SECONDS)
        wait_for_fleet(stage, revision)
        screen.seen(f"the fleet: four instances, all at revision {revision}", now() - began)


def explain_value(stage: Stage, screen: Screen) -> None:
    """Which layer gave a value, and what it overrides."""
    with screen.step(f"Explain {POSITION}"):
        body = stage.api.get(ENGINE.path("explain", POSITION)).body
        for line in explanation(ENGINE, body):
            screen.say(line)
        sources = [one["environment"] for one in body["contributions"]]
        if sources[:2] != [ENVIRONMENT, "development"]:
            raise StepFailed(f"it should come from {ENVIRONMENT} over development, not {sources}")


def wait_for_fleet(stage: Stage, revision: int = 0) -> None:
    """Until the server sees all four services connected and running at least this revision."""
    deadline = now() + RETURN_SECONDS
    while True:
        running = {one["service"] for one in stage.fleet() if (one.get("revision") or 0) >= revision}
        if running >= set(SERVICES):
            return
        if now() > deadline:
            raise StepFailed(f"the fleet lacks {', '.join(sorted(set(SERVICES) - running))}")
        time.sleep(0.1)


def _all_report(
    stage: Stage, screen: Screen, value: Any, marks: dict[str, int], *, began: float, seconds: float
) -> None:
    """Every service tells the new interval."""
    for service in SERVICES:
        line = stage.reported(service, INTERVAL, value, since=marks[service], seconds=seconds)
        screen.seen(f"{service} reports {INTERVAL} -> {value}", line.at - began)


def _expect_only(stage: Stage, receipt: dict[str, Any], services: set[str]) -> None:
    """The receipt names exactly the services of the demo that the change reaches."""
    named = {
        one["service"] for one in receipt["affected"] if one["environment"] == ENVIRONMENT and one["service"]
    }
    if named != services:
        raise StepFailed(f"the receipt names {sorted(named)}, it should be {sorted(services)}")


def _set(stage: Stage, target: Target, key: str, value: Any) -> dict[str, Any]:
    receipt: dict[str, Any] = stage.api.change([_edit(target, key, value)], reason="coreconfig demo").body
    return receipt


def _edit(target: Target, key: str, value: Any) -> dict[str, Any]:
    where = {"kind": "value", "environment": target.environment, "service": target.service}
    return {**where, "key": key, "operation": "set", "value": value}


def _current(stage: Stage, name: str) -> Any:
    answer = stage.api.find(Target(name).path(), "unknown_environment")
    return None if answer is None else from_document(answer.body["environment"])
