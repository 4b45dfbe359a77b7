"""Where callbacks run, and in which order."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from coreconfig.client.dispatch import LoopQueue, ThreadQueue
from coreconfig.errors import Invalid


def test_a_thread_runs_calls_in_order_and_one_after_another() -> None:
    """And it is not the thread that gave them."""
    queue = ThreadQueue("test")
    seen: list[tuple[int, int]] = []
    for number in range(100):
        queue.put(lambda number=number: seen.append((number, threading.get_ident())))
    queue.close()
    assert [number for number, _ in seen] == list(range(100))
    assert {thread for _, thread in seen} != {threading.get_ident()}
    assert len({thread for _, thread in seen}) == 1


def test_a_call_that_raises_is_counted_and_the_next_one_runs() -> None:
    """The thread lives on."""
    queue = ThreadQueue("test")
    seen: list[int] = []
    queue.put(partial(divmod, 1, 0))
    queue.put(partial(seen.append, 1))
    queue.close()
    assert seen == [1]
    assert queue.failures.count == 1


def test_closing_from_a_callback_does_not_wait_for_itself() -> None:
    """A callback may close its client."""
    queue = ThreadQueue("test")
    closed = threading.Event()
    queue.put(lambda: (queue.close(), closed.set()))
    assert closed.wait(1)


def test_a_closed_queue_takes_nothing_more() -> None:
    """And it never started a thread for nothing."""
    queue = ThreadQueue("test")
    queue.close()
    queue.put(partial(pytest.fail, "called"))
    assert queue._thread is None


async def _nothing() -> None:
    return None


def test_a_thread_refuses_coroutine_functions_and_what_cannot_be_called() -> None:
    """Nobody would await it; said when it is given, not when it should run."""
    for callback in (_nothing, 3):
        with pytest.raises(Invalid) as caught:
            ThreadQueue("test").accept(callback)  # type: ignore[arg-type]  # that is what is tested
        assert caught.value.code == "bad_callback"


async def test_a_loop_runs_plain_functions_and_awaits_coroutine_functions_in_turn() -> None:
    """The second call begins when the first has ended."""
    queue = LoopQueue()
    queue.attach(asyncio.get_running_loop())
    seen: list[str] = []
    done = asyncio.Event()

    async def slow() -> None:
        seen.append("begun")
        await asyncio.sleep(0.01)
        seen.append("ended")

    threading.Thread(
        target=lambda: [queue.put(call) for call in (slow, lambda: seen.append("next"), done.set)]
    ).start()
    await asyncio.wait_for(done.wait(), 5)
    assert seen == ["begun", "ended", "next"]


async def test_what_is_given_before_there_is_a_loop_waits_for_it() -> None:
    """Watches may be added before the client starts."""
    queue = LoopQueue()
    done = asyncio.Event()
    queue.put(partial(divmod, 1, 0))
    queue.put(done.set)
    queue.attach(asyncio.get_running_loop())
    await asyncio.wait_for(done.wait(), 5)
    assert queue.failures.count == 1


def test_a_loop_that_is_closed_ends_the_queue_in_silence() -> None:
    """The program is gone; the link must not fall over it."""
    queue = LoopQueue()
    loop = asyncio.new_event_loop()
    queue.attach(loop)
    loop.close()
    queue.put(partial(pytest.fail, "called"))
    queue.put(partial(pytest.fail, "called"))
