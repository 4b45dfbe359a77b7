"""Pattern 1, simple access: ask for a value where it is needed; it is a lookup in memory."""

from __future__ import annotations

from typing import Any

from console import options, run, say, shown

from coreconfig import CoreConfig


class DatabaseService:
    """Opens connections the way the configuration says at the moment it is asked."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config

    def connection_string(self) -> str:
        return str(self.config.get("database.postgresql.connectionString"))

    def pool(self) -> dict[str, Any]:
        return dict(self.config.get_section("database.pool"))


def main() -> None:
    chosen = options("database-service")
    with CoreConfig("database-service", environment=chosen.environment, url=chosen.url) as config:
        service = DatabaseService(config)
        say(f"connects to {service.connection_string()} with pool {shown(service.pool())}")
        config.watch("database.pool", lambda change: say(f"pool is now {shown(service.pool())}"))
        run(config, ask=chosen.ask)


if __name__ == "__main__":
    main()
