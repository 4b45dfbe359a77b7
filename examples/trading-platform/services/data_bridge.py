"""Pattern 4, fallbacks and defaults: what the configuration leaves open, the program decides."""

from __future__ import annotations

from typing import Any

from console import options, run, say, shown

from coreconfig import CoreConfig

MT5_DEFAULTS = {"connectionTimeout": 30000, "retryAttempts": 3, "heartbeatInterval": 30000}


class DataBridge:
    """Carries prices from MetaTrader 5 to WebSocket clients."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config

    def mt5(self) -> dict[str, Any]:
        """The section over our defaults; an absent section is an empty one."""
        return {**MT5_DEFAULTS, **self.config.get_section("mt5")}

    def websocket(self) -> dict[str, Any]:
        """Four values of one snapshot, so that they belong together even while a change arrives."""
        with self.config.pinned() as snapshot:
            return {
                "port": snapshot.get("websocket.port", 8080),
                "maxConnections": snapshot.get("websocket.maxConnections", 1000),
                "heartbeatInterval": snapshot.get("websocket.heartbeatInterval", 30000),
                "compression": snapshot.get("websocket.compression", True),
            }


def main() -> None:
    chosen = options("data-bridge")
    with CoreConfig("data-bridge", environment=chosen.environment, url=chosen.url) as config:
        bridge = DataBridge(config)
        say(f"reads from {shown(bridge.mt5())}")
        say(f"serves {shown(bridge.websocket())}")
        config.watch("mt5", lambda change: say(f"now reads from {shown(bridge.mt5())}"))
        config.watch("websocket", lambda change: say(f"now serves {shown(bridge.websocket())}"))
        run(config, ask=chosen.ask)


if __name__ == "__main__":
    main()
