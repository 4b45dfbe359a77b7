"""Typed reads: a subtree of the configuration as an instance of what the program declares.

A *target* says what a value has to be: a pydantic model, a dataclass, a TypedDict, a msgspec Struct, a
builtin or generic type, or a JSON Schema given as a dict.
"""

from coreconfig.client.typed.conversion import convert, json_schema_of
from coreconfig.client.typed.reads import TypedReads

__all__ = ["TypedReads", "convert", "json_schema_of"]
