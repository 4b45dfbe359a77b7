"""Rows and those with the same key, in one statement each: two servers may do it at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table
from sqlalchemy.dialects.postgresql import Insert as PostgreSQLInsert
from sqlalchemy.dialects.sqlite import Insert as SQLiteInsert
from sqlalchemy.sql.base import ReadOnlyColumnCollection

Columns = ReadOnlyColumnCollection[str, Any]
Rule = Callable[[Columns, Columns], ColumnElement[bool]]


def replace_rows(tx: Connection, table: Table, rows: Sequence[dict[str, Any]], rule: Rule) -> None:
    """Insert rows; one that is there already gives way where `rule` of it and the new one holds.

    In the order of their keys, so that two who replace the same rows wait for each other in one direction.
    """
    names = [column.name for column in table.primary_key]
    ordered = sorted(rows, key=lambda row: [row[name] for name in names])
    if ordered:
        tx.execute(_statement(table, rule, tx.dialect.name), ordered)


def insert_missing(tx: Connection, table: Table, row: dict[str, Any]) -> None:
    """Insert a row unless there is one with its key, from whomever."""
    tx.execute(_unless_there(table, tx.dialect.name), row)


@cache
def _unless_there(table: Table, product: str) -> PostgreSQLInsert | SQLiteInsert:
    insert = PostgreSQLInsert(table) if product == "postgresql" else SQLiteInsert(table)
    return insert.on_conflict_do_nothing(index_elements=[column.name for column in table.primary_key])


@cache
def _statement(table: Table, rule: Rule, product: str) -> PostgreSQLInsert | SQLiteInsert:
    insert = PostgreSQLInsert(table) if product == "postgresql" else SQLiteInsert(table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: insert.excluded[column.name] for column in table.c if column.name not in keys}
    where = rule(table.c, insert.excluded)
    return insert.on_conflict_do_update(index_elements=keys, set_=others, where=where)
