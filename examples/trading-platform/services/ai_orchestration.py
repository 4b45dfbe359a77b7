"""Pattern 3, typed access: a value that does not satisfy the schema never reaches the code behind it."""

from __future__ import annotations

from typing import Any

from console import options, run, say

from coreconfig import ConfigValidationError, CoreConfig

PROVIDERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "openai": {
            "type": "object",
            "properties": {
                "apiKey": {"type": "string", "minLength": 20},
                "model": {"type": "string", "enum": ["gpt-4", "gpt-3.5-turbo"]},
                "maxTokens": {"type": "number", "minimum": 1, "maximum": 8000},
                "temperature": {"type": "number", "minimum": 0, "maximum": 2},
            },
            "required": ["apiKey", "model"],
        },
    },
    "required": ["openai"],
}


class AIOrchestration:
    """Talks to providers with settings that were checked; keeps the last good ones if new ones are wrong."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.providers: dict[str, Any] = config.get_typed("ai.providers", PROVIDERS)
        config.watch("ai.providers", lambda change: self.check_again())

    def check_again(self) -> None:
        try:
            self.providers = self.config.get_typed("ai.providers", PROVIDERS)
        except ConfigValidationError as error:
            say(f"keeps its providers, the new ones are wrong: {error}")
        else:
            say(f"now uses {self.models()}")

    def models(self) -> str:
        """Provider and model; the credentials are not for printing."""
        return ", ".join(f"{name}/{said['model']}" for name, said in sorted(self.providers.items()))


def main() -> None:
    chosen = options("ai-orchestration")
    with CoreConfig("ai-orchestration", environment=chosen.environment, url=chosen.url) as config:
        service = AIOrchestration(config)
        say(f"uses {service.models()}")
        run(config, ask=chosen.ask)


if __name__ == "__main__":
    main()
