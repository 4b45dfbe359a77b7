"""Whether the promises hold: random work under faults, recorded as a history, judged by a checker."""
