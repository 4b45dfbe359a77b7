"""Pattern 2, reactive access: be told when limits or strategies change, and act on the new ones at once."""

from __future__ import annotations

from typing import Any

from console import options, run, say, say_change, shown

from coreconfig import Change, CoreConfig


class TradingEngine:
    """Holds orders against the risk limits that are in force now."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.limits: dict[str, Any] = config.get_section("risk.limits")
        config.watch("risk.*", self.on_risk_change)
        config.watch("strategies.*", self.on_strategy_change)

    def on_risk_change(self, change: Change) -> None:
        if change.key == "risk.limits":
            self.limits = dict(change.new_value or {})
        say_change(change)

    def on_strategy_change(self, change: Change) -> None:
        say_change(change)

    def accepts(self, size: float) -> bool:
        """Whether a position of this size may be opened; the limit is read anew for each order."""
        return size <= float(self.config.get("risk.maxPositionSize"))


def main() -> None:
    chosen = options("trading-engine")
    with CoreConfig("trading-engine", environment=chosen.environment, url=chosen.url) as config:
        engine = TradingEngine(config)
        largest = config.get("risk.maxPositionSize")
        say(f"takes positions up to {largest}, limits {shown(engine.limits)}")
        say(f"strategies: {', '.join(sorted(config.get_section('strategies')))}")
        run(config, ask=chosen.ask)


if __name__ == "__main__":
    main()
