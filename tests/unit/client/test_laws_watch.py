"""Laws of being told that hold however slow or ill-behaved a callback is."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

from tests.fakes.hand_queue import HandQueue
from tests.unit.client.states import new_store, snapshot_push

from coreconfig.client.dispatch import LoopQueue, ThreadQueue
from coreconfig.client.watch import Change, Watches

WITHIN = 10.0


def watching(callback: Callable[[Change], Any]) -> tuple[Any, HandQueue, Watches]:
    """A store without a snapshot, whose changes are told when the queue is run."""
    store, queue = new_store(), HandQueue()
    watches = Watches(lambda: store.state, queue, lambda: None)
    store.on_swap(lambda state: watches.wake())
    watches.add("**", callback)
    return store, queue, watches


def test_a_change_of_the_first_snapshot_is_told_even_if_nobody_had_time_to_look_at_the_first() -> None:
    """A program may have read the first one by then, and counts on being told what became of it."""
    told: list[Change] = []
    store, queue, _ = watching(told.append)
    store.offer(snapshot_push({"a": 1}, 1))
    store.offer(snapshot_push({"a": 2}, 2))
    queue.run()
    assert [(change.key, change.old_value, change.new_value) for change in told] == [("a", 1, 2)]


async def test_a_stream_of_changes_tells_them_too() -> None:
    """The same for the asynchronous iterator."""
    store, _, watches = watching(print)
    stream = watches.stream("a")
    store.offer(snapshot_push({"a": 1}, 1))
    store.offer(snapshot_push({"a": 2}, 2))
    async with asyncio.timeout(WITHIN):
        change = await anext(stream)
    assert (change.old_value, change.new_value) == (1, 2)


def test_a_callback_that_wants_to_end_its_thread_ends_nothing() -> None:
    """``sys.exit`` in a callback is one failure more, and the next callback runs."""
    queue, done = ThreadQueue("callbacks"), threading.Event()
    queue.put(sys.exit)
    queue.put(done.set)
    assert done.wait(WITHIN)
    queue.close()
    assert queue.failures.count == 1


async def test_a_callback_that_waits_for_something_cancelled_ends_nothing() -> None:
    """Cancelled is what it waited for, not the queue."""
    queue, done = LoopQueue(), asyncio.Event()
    queue.attach(asyncio.get_running_loop())

    async def waits() -> None:
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    queue.put(waits)
    queue.put(done.set)
    async with asyncio.timeout(WITHIN):
        await done.wait()
    assert queue.failures.count == 1


async def test_callbacks_go_on_after_the_task_that_ran_them_was_cancelled() -> None:
    """Some programs cancel every task that they find."""
    queue, entered, done = LoopQueue(), asyncio.Event(), asyncio.Event()
    queue.attach(asyncio.get_running_loop())

    async def waits() -> None:
        entered.set()
        await asyncio.Event().wait()

    queue.put(waits)
    await entered.wait()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    queue.put(done.set)
    async with asyncio.timeout(WITHIN):
        await done.wait()


async def test_callbacks_share_the_loop_with_the_rest_of_the_program() -> None:
    """However many wait, others get their turn between two of them."""
    queue, turns = LoopQueue(), []
    for number in range(100):
        queue.put(lambda number=number: turns.append(number))  # type: ignore[misc]  # a lambda's default
    queue.attach(asyncio.get_running_loop())
    while len(turns) < 100:
        turns.append("others")
        await asyncio.sleep(0)
    assert turns.count("others") > 50
