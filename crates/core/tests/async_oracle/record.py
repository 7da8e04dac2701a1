#!/usr/bin/env python3
"""Records what the specification's reference semantics do on random sequences of built-ins.

Usage: record.py DEFINITIONS.PY FIRST_SEED COUNT OPS > recording.txt

Two component instances, A and B, run guests that do nothing but call built-ins. What they call is drawn from a seeded generator with an eye on
what would not trap at once; every choice that the semantics leave open is drawn from it, too, and recorded. README.md has the format.
"""

import importlib.util
import os
import random
import sys
import threading

MEMORY = 64
EVENT_AT = 56  # waitable-set.{wait,poll} store index and payload here


def load(path):
    spec = importlib.util.spec_from_file_location("definitions", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["definitions"] = module
    spec.loader.exec_module(module)
    return module


class Stop(BaseException):
    pass


class Recorder:
    def __init__(self, d, seed, ops):
        self.d = d
        self.rng = random.Random(seed)
        self.ops = ops
        self.lines = []
        self.serial = 0
        self.fill = 1
        self.over = threading.Event()

    def say(self, *words):
        self.lines.append(" ".join(str(w) for w in words))

    def finish(self, word):
        """Ends the sequence. The threads that the semantics have made are left behind."""
        while word == "abandon" and self.lines[-1].startswith("pick"):
            self.lines.pop()
        self.say(word)
        self.over.set()
        threading.Event().wait()

    def me(self):
        return self.d.current_thread().serial

    # Choices of the semantics

    def randint(self, _low, _high):
        goes_on = self.rng.randint(0, 1)
        self.say("pick", "block", 1 - goes_on)
        return goes_on

    def choice(self, threads):
        threads = sorted(threads, key=lambda t: t.serial)
        chosen = self.rng.choice(threads)
        self.say("pick", "thread", chosen.serial, *[t.serial for t in threads])
        return chosen

    def shuffle(self, elems):
        """Only the first element with an event matters."""
        ready = [w for w in elems if w.has_pending_event()]
        if len(ready) < 2:
            return
        chosen = self.rng.choice(ready)
        inst = self.holder(chosen)
        index = lambda w: inst.handles.array.index(w)
        self.say("pick", "event", index(chosen), *sorted(index(w) for w in ready))
        elems.remove(chosen)
        elems.insert(0, chosen)

    def holder(self, waitable):
        return next(i for i in self.insts if waitable in i.handles.array)


def patch(d, rec):
    d.random = rec

    init = d.Thread.__init__

    def thread_init(self, task, thread_func):
        init(self, task, thread_func)
        self.serial = rec.serial
        rec.serial += 1

    d.Thread.__init__ = thread_init

    def cont_new(f):
        cont = d.Continuation()
        cont.lock = d.new_already_acquired_lock()

        def thread_base():
            cont.lock.acquire()
            d.thread_local_handler.value = cont.handler
            block_arg = guarded(rec, lambda: f(cont.block_result))
            handler = d.thread_local_handler.value
            handler.cont = None
            handler.block_arg = block_arg
            handler.lock.release()

        threading.Thread(target=thread_base, daemon=True).start()
        return cont

    d.cont_new = cont_new

    # The reference asserts that only a reader can be waiting when an end of a future is dropped. A writer can, too.
    def future_drop(self):
        if not self.dropped:
            self.dropped = True
            if self.pending_buffer:
                self.reset_and_notify_pending(d.CopyResult.DROPPED)

    d.SharedFutureImpl.drop = future_drop

    # A synchronous subtask.cancel takes whatever event is pending for the end of the subtask, though it may be that of its start.
    wait = d.Waitable.wait_for_pending_event

    def wait_for_pending_event(self):
        if isinstance(self, d.Subtask) and self.has_pending_event():
            rec.finish("abandon")
        wait(self)

    d.Waitable.wait_for_pending_event = wait_for_pending_event


def guarded(rec, f):
    """A trap ends the sequence; a failed assertion means that the reference has no answer."""
    try:
        return f()
    except rec.d.Trap:
        rec.finish("trap")
    except AssertionError:
        rec.finish("abandon")


class Guest:
    """What the core code of an instance does."""

    def __init__(self, rec, name, inst):
        self.rec, self.name, self.inst = rec, name, inst
        d = self.d = rec.d
        self.memory = d.MemInst(bytearray(MEMORY), "i32")
        self.table = d.Table()
        self.table.add(d.CoreFuncRef(d.CoreFuncType(["i32"], []), self.run))
        self.other = None
        self.exports = {}

    # Entry points of the core code

    def start(self, lift):
        def core(args):
            self.rec.say("start", self.rec.me(), *args)
            return self.body(lift)

        return core

    def callback(self, args):
        self.rec.say("cb", self.rec.me(), *[int(a) for a in args])
        return self.body("callback")

    def run(self, args):
        self.rec.say("run", self.rec.me(), *args)
        return self.body("thread")

    def body(self, lift):
        """Calls built-ins until it is time to return; gives the core results."""
        rec = self.rec
        length = rec.rng.choice([0, 2, 4, 8, 12, 20])
        while True:
            rec.ops -= 1
            if rec.ops < 0:
                rec.finish("stop")
            task = self.d.current_task()
            if length <= 0:
                # Resolve before the last thread ends, mostly.
                pending = task.opts.async_ and task.state != self.d.Task.State.RESOLVED
                if not pending or rec.rng.random() < 0.03:
                    break
                if lift == "callback" and rec.rng.random() < 0.5:
                    break
                if lift == "thread" and len(task.threads) > 1 and rec.rng.random() < 0.5:
                    break
                if task.num_borrows > 0:
                    self.drop_borrow()
                elif task.state == self.d.Task.State.CANCEL_DELIVERED and rec.rng.random() < 0.7:
                    self.op("task_cancel")
                else:
                    self.op("task_return")
                continue
            length -= 1
            self.random_op()
        if lift == "callback":
            packed = self.callback_code(task)
            rec.say("end", rec.me(), packed)
            return [packed]
        if lift in ("sync", "blocking"):
            while task.num_borrows > 0 and rec.rng.random() < 0.95:
                self.drop_borrow()
        rec.say("end", rec.me())
        return []

    def callback_code(self, task):
        rng = self.rec.rng
        resolved = task.state == self.d.Task.State.RESOLVED
        sets = self.handles(self.d.WaitableSet)
        if rng.random() < 0.01:
            return rng.choice([3, 15, 2 | 99 << 4])
        if resolved and rng.random() < 0.6 or (len(task.threads) > 1 and rng.random() < 0.3):
            return 0
        if sets and rng.random() < 0.6:
            return 2 | rng.choice(sets) << 4
        return 1

    # Choosing operations

    def handles(self, kind, condition=lambda h: True):
        return [
            i
            for i, h in enumerate(self.inst.handles.array)
            if isinstance(h, kind) and condition(h)
        ]

    def pick(self, candidates):
        rng = self.rec.rng
        if rng.random() < 0.006:
            return rng.randint(0, 9)
        return rng.choice(candidates) if candidates else None

    def drop_borrow(self):
        task = self.d.current_task()
        mine = self.handles(
            self.d.ResourceHandle,
            lambda h: h.borrow_scope is task and h.num_lends == 0,
        )
        if mine:
            self.op("resource_drop", self.rec.rng.choice(mine))
        else:
            self.rec.finish("stop")

    def random_op(self):
        d, rng = self.d, self.rec.rng
        idle = lambda e: e.state == d.CopyState.IDLE
        copying = lambda e: e.state == d.CopyState.COPYING and not e.has_sync_waiter
        free = lambda e: not e.copying()
        may_block = self.may_block() or rng.random() < 0.05
        async_ = int(rng.random() < 0.75 or not may_block)
        cancellable = int(rng.random() < 0.6)

        def ready_for(condition):
            return lambda e: condition(e) and (async_ or not e.in_waitable_set())

        name = rng.choices(
            [
                "waitable_set_new", "waitable_set_wait", "waitable_set_poll", "waitable_set_drop", "waitable_join",
                "stream_new", "future_new", "read", "write", "cancel", "drop",
                "subtask_cancel", "subtask_drop", "call", "backpressure_inc", "backpressure_dec",
                "context_set", "context_get", "task_return", "task_cancel",
                "thread_index", "thread_new", "thread_resume_later", "thread_suspend", "thread_yield",
                "thread_switch", "thread_promote", "resource_drop",
            ],
            [
                3, 5, 4, 1, 9,
                4, 3, 9, 9, 5, 3,
                4, 3, 14, 1, 6,
                1, 1, 3, 2,
                1, 4, 4, 2, 4,
                4, 4, 2,
            ],
        )[0]
        task = d.current_task()
        blocking = ("waitable_set_wait", "thread_suspend", "thread_switch", "thread_promote")
        if name in blocking and not may_block:
            return
        if name in ("waitable_set_new", "stream_new", "future_new", "thread_index", "thread_new"):
            if len(self.inst.handles.array) < 24 and len(self.inst.threads.array) < 12:
                self.op(name)
        elif name in ("waitable_set_wait", "waitable_set_poll"):
            i = self.pick(self.handles(d.WaitableSet))
            if i is not None:
                self.op(name, cancellable, i)
        elif name == "waitable_set_drop":
            i = self.pick(self.handles(d.WaitableSet, lambda s: not s.elems and not s.num_waiting))
            if i is not None:
                self.op(name, i)
        elif name == "waitable_join":
            w = self.pick(self.handles(d.Waitable, lambda w: not w.has_sync_waiter))
            s = self.pick(self.handles(d.WaitableSet) + [0])
            if w is not None:
                self.op(name, w, s)
        elif name in ("read", "write"):
            stream = rng.random() < 0.6
            end = {
                ("read", True): d.ReadableStreamEnd, ("write", True): d.WritableStreamEnd,
                ("read", False): d.ReadableFutureEnd, ("write", False): d.WritableFutureEnd,
            }[name, stream]
            i = self.pick(self.handles(end, ready_for(idle)))
            if i is None:
                return
            ptr = rng.randrange(0, 40)
            n = rng.choice([0, 1, 2, 3, 5, 8]) if stream else 1
            if rng.random() < 0.003:
                ptr = MEMORY
                n = max(n, 1)
            if name == "write":
                for k in range(min(n, max(0, MEMORY - ptr))):
                    self.memory.bytes[ptr + k] = self.rec.fill
                    self.rec.fill = self.rec.fill % 250 + 1
            self.op(("stream_" if stream else "future_") + name, async_, i, ptr, n)
        elif name == "cancel":
            ends = [
                ("stream_cancel_read", d.ReadableStreamEnd), ("stream_cancel_write", d.WritableStreamEnd),
                ("future_cancel_read", d.ReadableFutureEnd), ("future_cancel_write", d.WritableFutureEnd),
            ]
            name, end = rng.choice(ends)
            i = self.pick(self.handles(end, ready_for(copying)))
            if i is not None:
                self.op(name, async_, i)
        elif name == "drop":
            ends = [
                ("stream_drop_readable", d.ReadableStreamEnd), ("stream_drop_writable", d.WritableStreamEnd),
                ("future_drop_readable", d.ReadableFutureEnd), ("future_drop_writable", d.WritableFutureEnd),
            ]
            name, end = rng.choice(ends)
            done = lambda e: e.state == d.CopyState.DONE
            i = self.pick(self.handles(end, done if end is d.WritableFutureEnd else free))
            if i is not None:
                self.op(name, i)
        elif name == "subtask_cancel":
            wanted = lambda s: not s.resolve_delivered() and not s.cancellation_requested and not s.has_sync_waiter
            i = self.pick(self.handles(d.Subtask, ready_for(wanted)))
            if i is not None:
                self.op(name, async_, i)
        elif name == "subtask_drop":
            i = self.pick(self.handles(d.Subtask, lambda s: s.resolve_delivered()))
            if i is not None:
                self.op(name, i)
        elif name == "call":
            if len(self.inst.handles.array) > 24 or not self.other.inst.may_enter:
                if rng.random() < 0.98:
                    return
            lift = rng.choice(["sync", "blocking", "callback", "callback", "stackful"])
            async_ = int(lift != "sync" and rng.random() < 0.75)
            if not async_ and lift != "sync" and not may_block:
                return
            param = rng.choice(["none", "none", "stream", "future", "borrow"])
            arg = 0
            if param == "stream":
                arg = self.pick(self.handles(d.ReadableStreamEnd, lambda e: idle(e) and not e.in_waitable_set()))
            elif param == "future":
                arg = self.pick(self.handles(d.ReadableFutureEnd, lambda e: idle(e) and not e.in_waitable_set()))
            elif param == "borrow":
                arg = self.pick(self.handles(d.ResourceHandle, lambda h: h.own))
            if arg is None:
                param, arg = "none", 0
            self.op("call", async_, lift, param, arg)
        elif name == "backpressure_inc":
            self.op(name)
        elif name == "backpressure_dec":
            if self.inst.backpressure > 0:
                self.op(name)
        elif name == "context_set":
            self.op(name, rng.randint(0, 1), rng.randint(0, 99))
        elif name == "context_get":
            self.op(name, rng.randint(0, 1))
        elif name == "task_return":
            if task.opts.async_ and task.state != d.Task.State.RESOLVED and task.num_borrows == 0 or rng.random() < 0.01:
                self.op(name)
        elif name == "task_cancel":
            if task.opts.async_ and task.state == d.Task.State.CANCEL_DELIVERED and task.num_borrows == 0 or rng.random() < 0.005:
                self.op(name)
        elif name == "thread_resume_later":
            i = self.pick(self.threads(lambda t: t.suspended()))
            if i is not None:
                self.op(name, i)
        elif name == "thread_suspend":
            if len(self.inst.threads.array) > 2:
                self.op(name, cancellable)
        elif name == "thread_yield":
            self.op(name, cancellable)
        elif name == "thread_switch":
            i = self.pick(self.threads(lambda t: t.suspended()))
            if i is not None:
                self.op(rng.choice(["thread_suspend_then_resume", "thread_yield_then_resume"]), cancellable, i)
        elif name == "thread_promote":
            i = self.pick(self.threads(lambda t: True))
            if i is not None:
                self.op(rng.choice(["thread_suspend_then_promote", "thread_yield_then_promote"]), cancellable, i)
        elif name == "resource_drop":
            i = self.pick(self.handles(d.ResourceHandle, lambda h: not h.own and h.num_lends == 0))
            h = self.inst.handles.array[i] if i is not None and i < len(self.inst.handles.array) else None
            # Dropping an owned handle would run a destructor.
            if i is not None and not (isinstance(h, d.ResourceHandle) and h.own and h.num_lends == 0):
                self.op(name, i)

    def may_block(self):
        """Whether a thread of the instance can block without trapping a synchronous call."""
        me = self.d.current_thread()
        sync = [t for t in self.inst.threads if not t.task.ft.async_ and t.task.state != self.d.Task.State.RESOLVED]
        others = [t for t in self.inst.threads if t is not me and t.ready() and t is not self.inst.exclusive_thread]
        return not sync or bool(others)

    def threads(self, condition):
        return [i for i, t in enumerate(self.inst.threads.array) if t is not None and condition(t)]

    # Executing operations

    def op(self, name, *args):
        rec = self.rec
        me = rec.me()
        rec.say("op", me, name, *args)
        result = guarded(rec, lambda: getattr(self, "do_" + name)(*args))
        rec.say("ret", me, *[int(r) for r in result])

    def __getattr__(self, name):
        if not name.startswith("do_"):
            raise AttributeError(name)
        f = getattr(self.d, "canon_" + name[3:])
        if name.startswith(("do_stream_drop", "do_future_drop", "do_stream_new", "do_future_new")):
            ty = self.rec.stream if "stream" in name else self.rec.future
            return lambda *args: f(ty, *args)
        if "_cancel_" in name:
            ty = self.rec.stream if "stream" in name else self.rec.future
            return lambda async_, i: f(ty, bool(async_), i)
        return f

    def options(self, async_, callback=None):
        return self.d.CanonicalOptions(memory=self.memory, async_=bool(async_), callback=callback)

    def do_waitable_set_wait(self, cancellable, i):
        return self.d.canon_waitable_set_wait(bool(cancellable), self.memory, i, EVENT_AT)

    def do_waitable_set_poll(self, cancellable, i):
        return self.d.canon_waitable_set_poll(bool(cancellable), self.memory, i, EVENT_AT)

    def do_stream_read(self, async_, i, ptr, n):
        return self.d.canon_stream_read(self.rec.stream, self.options(async_), i, ptr, n)

    def do_stream_write(self, async_, i, ptr, n):
        return self.d.canon_stream_write(self.rec.stream, self.options(async_), i, ptr, n)

    def do_future_read(self, async_, i, ptr, _n):
        return self.d.canon_future_read(self.rec.future, self.options(async_), i, ptr)

    def do_future_write(self, async_, i, ptr, _n):
        return self.d.canon_future_write(self.rec.future, self.options(async_), i, ptr)

    def do_subtask_cancel(self, async_, i):
        return self.d.canon_subtask_cancel(bool(async_), i)

    def do_resource_drop(self, i):
        return self.d.canon_resource_drop(self.rec.resource, i)

    def do_context_set(self, i, v):
        return self.d.canon_context_set("i32", i, v)

    def do_context_get(self, i):
        return self.d.canon_context_get("i32", i)

    def do_task_return(self):
        task = self.d.current_task()
        return self.d.canon_task_return(task.ft.result, task.opts, [])

    def do_thread_new(self):
        return self.d.canon_thread_new_indirect(self.d.CoreFuncType(["i32"], []), self.table, 1, 7)

    def do_call(self, async_, lift, param, arg):
        f, ft = self.other.exports[lift, param]
        lowered = self.rec.store.lower(f, ft, self.options(async_), self.inst)
        return lowered([] if param == "none" else [arg])


def sequence(d, seed, ops):
    rec = Recorder(d, seed, ops)
    patch(d, rec)
    rec.stream, rec.future = d.StreamType(d.U8Type()), d.FutureType(d.U8Type())
    store = rec.store = d.Store()
    rec.insts = [d.ComponentInstance(store), d.ComponentInstance(store)]
    guests = [Guest(rec, name, inst) for name, inst in zip("AB", rec.insts)]
    guests[0].other, guests[1].other = guests[1], guests[0]
    # The host implements the resource, so that both instances hold handles when they borrow.
    rec.resource = d.ResourceType(None)
    params = {"none": [], "stream": [rec.stream], "future": [rec.future], "borrow": [d.BorrowType(rec.resource)]}
    for guest in guests:
        guest.inst.handles.add(d.ResourceHandle(rec.resource, 42, own=True))
        for lift in ("sync", "blocking", "callback", "stackful"):
            for param, types in params.items():
                ft = d.FuncType(types, [], async_=lift != "sync")
                opts = guest.options(lift in ("callback", "stackful"), guest.callback if lift == "callback" else None)
                guest.exports[lift, param] = (store.lift(guest.start(lift), ft, opts, guest.inst), ft)

    def dump():
        for guest in guests:
            names = {
                d.ResourceHandle: "resource", d.WaitableSet: "set", d.Subtask: "subtask",
                d.ReadableStreamEnd: "rs", d.WritableStreamEnd: "ws",
                d.ReadableFutureEnd: "rf", d.WritableFutureEnd: "wf",
            }
            handles = [f"{i}:{names[type(h)]}" for i, h in enumerate(guest.inst.handles.array) if h is not None]
            rec.say("handles", guest.name, *handles)
            threads = [f"{i}:{t.serial}" for i, t in enumerate(guest.inst.threads.array) if t is not None]
            rec.say("threads", guest.name, *threads)
            rec.say("memory", guest.name, guest.memory.bytes.hex())

    def host():
        calls = []
        while True:
            action = rec.rng.choices(["call", "tick", "cancel"], [3, 10, 1])[0]
            open_calls = [c for c in calls if not c["resolved"]]
            if action == "call" and len(open_calls) < 4:
                guest = rec.rng.choice(guests)
                lift = rec.rng.choice(["sync", "blocking", "callback", "callback", "stackful"])
                call = {"number": len(calls), "resolved": False, "cancelled": False}
                calls.append(call)

                def on_resolve(result, call=call):
                    call["resolved"] = True
                    rec.say("resolved", call["number"], int(result is not None))

                rec.say("host", "call", call["number"], guest.name, lift)
                f, _ = guest.exports[lift, "none"]
                call["on_cancel"] = store.invoke(f, lambda: [], on_resolve)
            elif action == "cancel" and [c for c in open_calls if not c["cancelled"]]:
                call = rec.rng.choice([c for c in open_calls if not c["cancelled"]])
                call["cancelled"] = True
                rec.say("host", "cancel", call["number"])
                call["on_cancel"](None)
            elif action == "tick":
                rec.say("host", "tick")
                store.tick()
            else:
                continue
            rec.ops -= 1
            if rec.ops < 0:
                dump()
                rec.finish("stop")
            if rec.rng.random() < 0.03:
                dump()

    threading.Thread(target=lambda: guarded(rec, host), daemon=True).start()
    if not rec.over.wait(60):
        rec.lines.append("abandon")
    return rec.lines


def main():
    path, first, count, ops = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    for seed in range(first, first + count):
        sys.stdout.flush()
        # A process for each sequence: what it leaves blocked goes with it.
        pid = os.fork()
        if pid == 0:
            lines = sequence(load(path), seed, ops)
            print(f"seed {seed}")
            print("\n".join(lines))
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
