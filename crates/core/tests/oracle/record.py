#!/usr/bin/env python3
"""Records what the Component Model's reference definitions answer, for tests/abi_oracle.rs to replay.

    python3 record.py path/to/design/mvp/canonical-abi/definitions.py > recording.txt

The recording was made with definitions.py of revision 6d281648bd89caf885a7adcc412962dbd2425ab7. The random numbers are seeded, so that running this again
gives the same recording. The format is described by the comments at `emit_*`; types and values are written as by `type_text` and `value_text`.
"""

import importlib.util
import inspect
import random
import struct
import sys

spec = importlib.util.spec_from_file_location("definitions", sys.argv[1])
d = importlib.util.module_from_spec(spec)
sys.modules["definitions"] = d
spec.loader.exec_module(d)
d.DETERMINISTIC_PROFILE = True

rng = random.Random(20261121)
MEMORY = 512


# --- which condition trapped -----------------------------------------------------------------------------------------------------------

class Trapped(d.Trap):
    def __init__(self, reason):
        self.reason = reason


def reason_of(frame):
    line = inspect.getframeinfo(frame, context=1).code_context[0]
    for pattern, reason in [
        ("BYTE_LENGTH", "too-long"),
        ("align_to", "unaligned"),
        ("len(cx.opts.memory)", "out-of-bounds"),
        ("case_index", "discriminant"),
        ("0x110000", "char"),
        ("0xD800", "char"),
        ("len(self.array)", "unknown-handle"),
        ("self.array[i] is None", "unknown-handle"),
        ("h.rt is not", "wrong-handle"),
        ("h.num_lends", "lent"),
        ("not h.own", "not-owned"),
        ("trap()", "string"),
    ]:
        if pattern in line:
            return reason
    raise AssertionError("unknown trap: " + line)


def trap():
    raise Trapped(reason_of(inspect.currentframe().f_back))


def trap_if(condition):
    if condition:
        raise Trapped(reason_of(inspect.currentframe().f_back))


d.trap = trap
d.trap_if = trap_if


# --- a guest's allocator ---------------------------------------------------------------------------------------------------------------

class Guest:
    """A memory with a bump allocator, which lies once if told so."""

    def __init__(self, memory64, base, lie=None):
        self.memory = d.MemInst(bytearray(MEMORY), "i64" if memory64 else "i32")
        self.next = base
        self.lie = lie
        self.calls = []

    def realloc(self, old, old_size, align, new_size):
        self.calls.append((old, old_size, align, new_size))
        if self.lie and self.lie[0] == len(self.calls) - 1:
            return self.lie[1]
        ptr = (self.next + align - 1) // align * align
        self.next = ptr + new_size
        if ptr + new_size <= MEMORY and old + old_size <= MEMORY:
            n = min(old_size, new_size)
            self.memory.bytes[ptr:ptr + n] = self.memory.bytes[old:old + n]
        return ptr


class Context(d.LiftLowerContext):
    def __init__(self, guest, encoding, inst=None, scope=None):
        super().__init__(d.LiftLowerOptions(encoding, guest.memory), inst, scope)
        self.guest = guest

    def reallocate(self, old, old_size, align, new_size):
        return self.guest.realloc(old, old_size, align, new_size)


# --- types and values ------------------------------------------------------------------------------------------------------------------

PRIMITIVES = {
    "bool": d.BoolType, "s8": d.S8Type, "u8": d.U8Type, "s16": d.S16Type, "u16": d.U16Type, "s32": d.S32Type, "u32": d.U32Type,
    "s64": d.S64Type, "u64": d.U64Type, "f32": d.F32Type, "f64": d.F64Type, "char": d.CharType, "string": d.StringType,
}
NAMES = {v: k for k, v in PRIMITIVES.items()}


def random_type(depth, resources=()):
    if depth == 0 or rng.random() < 0.35:
        if resources and rng.random() < 0.4:
            return rng.choice([d.OwnType, d.OwnType, d.BorrowType])(rng.choice(resources))
        if rng.random() < 0.3:
            return d.StringType()
        return rng.choice(list(PRIMITIVES.values()))()
    sub = lambda: random_type(depth - 1, resources)
    labels = lambda n: [chr(97 + i % 26) + str(i) for i in range(n)]
    match rng.randrange(11):
        case 0 | 1: return d.ListType(sub())
        case 2: return d.ListType(sub(), rng.randint(1, 3))
        case 3: return d.RecordType([d.FieldType(l, sub()) for l in labels(rng.randint(1, 4))])
        case 4: return d.TupleType([sub() for _ in range(rng.randint(1, 4))])
        case 5: return d.VariantType([d.CaseType(l, sub() if rng.random() < 0.7 else None) for l in labels(rng.randint(1, 4))])
        case 6: return d.EnumType(labels(rng.choice([1, 2, 5, 300])))
        case 7: return d.OptionType(sub())
        case 8: return d.ResultType(*(sub() if rng.random() < 0.7 else None for _ in range(2)))
        case 9: return d.FlagsType(labels(rng.choice([1, 7, 8, 9, 16, 17, 32])))
        case 10: return d.MapType(rng.choice([d.U8Type, d.StringType, d.CharType, d.S64Type])(), sub())


def type_text(t):
    opt = lambda u: "_" if u is None else type_text(u)
    match t:
        case d.ListType(u, None): return f"list({type_text(u)})"
        case d.ListType(u, n): return f"array({type_text(u)},{n})"
        case d.RecordType(fs): return "record(" + ",".join(f"{f.label}:{type_text(f.t)}" for f in fs) + ")"
        case d.TupleType(ts): return "tuple(" + ",".join(map(type_text, ts)) + ")"
        case d.VariantType(cs): return "variant(" + ",".join(f"{c.label}:{opt(c.t)}" for c in cs) + ")"
        case d.EnumType(ls): return f"enum({len(ls)})"
        case d.OptionType(u): return f"option({type_text(u)})"
        case d.ResultType(a, b): return f"result({opt(a)},{opt(b)})"
        case d.FlagsType(ls): return f"flags({len(ls)})"
        case d.MapType(k, v): return f"map({type_text(k)},{type_text(v)})"
        case d.OwnType(rt): return f"own({rt.number})"
        case d.BorrowType(rt): return f"borrow({rt.number})"
        case _: return NAMES[type(t)]


CHARS = ["a", "z", "0", " ", "\x7f", "\x80", "é", "ÿ", "\u0100", "\u2603", "\ud7ff", "\ue000", "\uffff", "\U0001f370", "\U0010ffff"]


def random_text():
    pools = [CHARS[:5], CHARS[:8], CHARS]
    return "".join(rng.choice(rng.choice(pools)) for _ in range(rng.choice([0, 1, 2, 5, 9])))


def random_string(text, memory64, host):
    """The specification's string value: text, encoding, tagged length."""
    tag = d.utf16_tag("i64" if memory64 else "i32")
    utf16 = len(text.encode("utf-16-le")) // 2
    options = [("utf8", len(text.encode("utf-8")))]
    if not host:
        options += [("utf16", utf16), ("latin1+utf16", utf16 | tag)]
        if all(ord(c) < 256 for c in text):
            options.append(("latin1+utf16", len(text)))
    encoding, units = rng.choice(options)
    return (text, encoding, units)


def random_value(t, memory64=False, host=True):
    sub = lambda u: random_value(u, memory64, host)
    edge = lambda bits: rng.choice([0, 1, (1 << bits) - 1, 1 << (bits - 1), rng.getrandbits(bits)])
    signed = lambda bits: (lambda x: x - (1 << bits) if x >> (bits - 1) else x)(edge(bits))
    match d.despecialize(t):
        case d.BoolType(): return rng.random() < 0.5
        case d.U8Type(): return edge(8)
        case d.U16Type(): return edge(16)
        case d.U32Type(): return edge(32)
        case d.U64Type(): return edge(64)
        case d.S8Type(): return signed(8)
        case d.S16Type(): return signed(16)
        case d.S32Type(): return signed(32)
        case d.S64Type(): return signed(64)
        case d.F32Type(): return d.decode_i32_as_float(edge(32))
        case d.F64Type(): return d.decode_i64_as_float(edge(64))
        case d.CharType(): return rng.choice(CHARS)
        case d.StringType(): return random_string(random_text(), memory64, host)
        case d.ListType(u, n): return [sub(u) for _ in range(rng.choice([0, 1, 2, 3]) if n is None else n)] if not isinstance(t, d.MapType) \
            else [sub(u) for _ in range(rng.randint(0, 2))]
        case d.RecordType(fs): return {f.label: sub(f.t) for f in fs}
        case d.VariantType(cs):
            c = rng.choice(cs)
            return {c.label: None if c.t is None else sub(c.t)}
        case d.FlagsType(ls): return {l: rng.random() < 0.5 for l in ls}
        # A handle: taken for a u32 where memory is made up.
        case d.OwnType() | d.BorrowType(): return rng.choice([0, 1, 2, 3, 4, 5, 6, 6, 6, 7])


def value_text(v, t):
    match d.despecialize(t):
        case d.BoolType(): return str(int(v))
        case d.F32Type(): return str(d.core_i32_reinterpret_f32(d.canonicalize_nan32(v)))
        case d.F64Type(): return str(d.core_i64_reinterpret_f64(d.canonicalize_nan64(v)))
        case d.CharType(): return str(ord(v))
        case d.StringType(): return '"' + v[0].encode("utf-8").hex() + '"'
        case d.ListType(u): return "[" + ",".join(value_text(e, u) for e in v) + "]"
        case d.RecordType(fs): return "(" + ",".join(value_text(v[f.label], f.t) for f in fs) + ")"
        case d.VariantType(cs):
            i, payload = d.match_case(v, cs)
            return f"#{i}" + ("" if cs[i].t is None else "=" + value_text(payload, cs[i].t))
        case d.FlagsType(ls): return str(d.pack_flags_into_int(v, ls))
        case _: return str(v)


def without_handles(t):
    """The same layout, with handles as plain numbers."""
    opt = lambda u: None if u is None else without_handles(u)
    match t:
        case d.OwnType() | d.BorrowType(): return d.U32Type()
        case d.ListType(u, n): return d.ListType(without_handles(u), n)
        case d.RecordType(fs): return d.RecordType([d.FieldType(f.label, without_handles(f.t)) for f in fs])
        case d.TupleType(ts): return d.TupleType([without_handles(u) for u in ts])
        case d.VariantType(cs): return d.VariantType([d.CaseType(c.label, opt(c.t)) for c in cs])
        case d.OptionType(u): return d.OptionType(without_handles(u))
        case d.ResultType(a, b): return d.ResultType(opt(a), opt(b))
        case d.MapType(k, v): return d.MapType(k, without_handles(v))
        case _: return t


# --- core values as words --------------------------------------------------------------------------------------------------------------

def to_word(v, core):
    match core:
        case "f32": return d.core_i32_reinterpret_f32(v) if isinstance(v, float) else v
        case "f64": return d.core_i64_reinterpret_f64(v) if isinstance(v, float) else v
        case _: return v


def from_word(w, core):
    match core:
        case "i32": return w & 0xffffffff
        case "f32": return struct.unpack("<f", struct.pack("<I", w & 0xffffffff))[0]
        case "f64": return struct.unpack("<d", struct.pack("<Q", w))[0]
        case _: return w


def core_types(types, cx, max_flat, pointer_result=True):
    flat = d.flatten_types(types, cx.opts)
    return flat if len(flat) <= max_flat else ([cx.opts.memory.ptr_type()] if pointer_result else [])


# --- cases -----------------------------------------------------------------------------------------------------------------------------

def hexed(memory):
    return bytes(memory).rstrip(b"\0").hex() or "-"


def words_text(words):
    return ",".join(map(str, words)) or "-"


def calls_text(calls):
    return ";".join(",".join(map(str, call)) for call in calls) or "-"


def side_text(memory64, encoding):
    return ("m64" if memory64 else "m32") + " " + encoding


def random_side():
    return (rng.random() < 0.25, rng.choice(["utf8", "utf16", "latin1+utf16"]))


def random_types(kind, resources=()):
    while True:
        n = 1 if kind == "result" else rng.choice([1, 1, 2, 3, 5])
        types = [random_type(rng.choice([1, 2, 2, 3]), resources) for _ in range(n)]
        if len(d.flatten_types(types, d.LiftOptions(memory=d.MemInst(bytearray(), "i32")))) < 60:
            return types


def made_up(types, memory64, encoding, max_flat, host_strings=False):
    """Words and memory that hold a random value of these types, perhaps spoilt."""
    guest = Guest(memory64, rng.choice([8, 16, 32]))
    cx = Context(guest, encoding)
    plain = [without_handles(t) for t in types]
    values = [random_value(t, memory64, host_strings) for t in types]
    try:
        flat = d.lower_flat_values(cx, max_flat, values, plain)
    except d.Trap:
        return None  # too large for this memory
    words = [to_word(v, c) for v, c in zip(flat, core_types(plain, cx, max_flat))]
    used = guest.next
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 4])):
        spoil_words = rng.random() < 0.4 or used == 0
        if spoil_words and words:
            i = rng.randrange(len(words))
            core = core_types(plain, cx, max_flat)[i]
            bits = 32 if core in ("i32", "f32") else 64
            words[i] = rng.choice([words[i] ^ (1 << rng.randrange(bits)), words[i] + 1, rng.getrandbits(bits), MEMORY, MEMORY + 1]) % (1 << bits)
        else:
            i = rng.randrange(min(used, MEMORY))
            guest.memory.bytes[i] = rng.choice([0, 1, 255, 0x80, 0xd8, rng.getrandbits(8)])
    return guest, cx, words


def emit_lift(kind, max_flat):
    """lift, kind, side, max flat, types, words, memory, outcome: the value, or `trap` and why."""
    memory64, encoding = random_side()
    types = random_types(kind)
    made = made_up(types, memory64, encoding, max_flat)
    if made is None:
        return emit_lift(kind, max_flat)
    guest, cx, words = made
    cores = core_types(types, cx, max_flat)
    vi = d.CoreValueIter([from_word(w, c) for w, c in zip(words, cores)])
    try:
        values = d.lift_flat_values(cx, max_flat, vi, types)
        outcome = "(" + ",".join(value_text(v, t) for v, t in zip(values, types)) + ")"
    except Trapped as t:
        outcome = "trap " + t.reason
    print("lift", kind, side_text(memory64, encoding), max_flat, type_text(d.TupleType(types)), words_text(words), hexed(guest.memory.bytes), outcome, sep="\t")


def random_target(memory64):
    lie = None
    if rng.random() < 0.25:
        lie = (rng.randrange(3), rng.choice([1, 2, 3, 4, MEMORY - 1, MEMORY, MEMORY + 8, 2**32 - 1, 2**32 - 4]))
    return Guest(memory64, rng.choice([8, 16, 33, 200, 400]), lie)


def target_text(guest):
    return f"{guest.next} " + ("-" if guest.lie is None else f"{guest.lie[0]}:{guest.lie[1]}")


def lowered(cx, guest, max_flat, values, types, out):
    """Lowers, and gives the outcome with everything that a guest could see of it."""
    try:
        out_param = None if out is None else d.CoreValueIter([out])
        flat = d.lower_flat_values(cx, max_flat, values, types, out_param)
        cores = core_types(types, cx, max_flat, out is None)
        outcome = words_text([to_word(v, c) for v, c in zip(flat, cores)])
    except Trapped as t:
        outcome = "trap " + t.reason
    return outcome


def random_out():
    return rng.choice([0, 8, 16, 64, 256, 1, 4, MEMORY - 4, MEMORY - 64, MEMORY])


def emit_lower(kind, max_flat):
    """lower, kind, side, max flat, types, out pointer, value, allocator, outcome: words, or `trap` and why; realloc calls, memory."""
    memory64, encoding = random_side()
    types = random_types(kind)
    values = [random_value(t) for t in types]
    guest = random_target(memory64)
    target = target_text(guest)
    cx = Context(guest, encoding)
    out = random_out() if kind == "result" else None
    text = "(" + ",".join(value_text(v, t) for v, t in zip(values, types)) + ")"
    outcome = lowered(cx, guest, max_flat, values, types, out)
    print("lower", kind, side_text(memory64, encoding), max_flat, type_text(d.TupleType(types)), "-" if out is None else out, text, target,
          outcome, calls_text(guest.calls), hexed(guest.memory.bytes), sep="\t")


class Instance(d.ComponentInstance):
    pass


def handles_text(inst, types):
    entries = []
    for i, h in enumerate(inst.handles.array):
        if h is not None:
            entries.append(f"{i}:{'own' if h.own else 'borrow'}:{types.index(h.rt)}:{h.rep}:{h.num_lends}")
    return ";".join(entries) or "-"


def emit_transfer(kind, max_lift, max_lower, resources_too):
    """transfer, kind, source side, target side, async flags, types, words, source memory, out pointer, allocator,
    outcome: words, or `trap` and why; realloc calls, target memory, source handles, target handles."""
    store = d.Store()
    source, target, other = (Instance(store) for _ in range(3))
    resources = [d.ResourceType(target), d.ResourceType(other)]
    for number, resource in enumerate(resources):
        resource.number = number
    task = d.Task(d.FuncType([], []), d.CanonicalOptions(), target, None, None)
    own = lambda rt, rep: source.handles.add(d.ResourceHandle(resources[rt], rep, own=True))
    own(0, 100)
    own(1, 200)
    source.handles.get(own(0, 300)).num_lends = 1
    source.handles.add(d.ResourceHandle(resources[0], 400, own=False, borrow_scope=task))
    own(1, 500)
    own(0, 600)

    side, other_side = random_side(), random_side()
    if side[1] == "latin1+utf16":
        # The definitions look for the tag of the source's length where the target's pointers would have it.
        other_side = (side[0], other_side[1])
    types = random_types(kind, resources if resources_too else ())
    if kind == "result" and any("borrow" in type_text(t) for t in types):
        return emit_transfer(kind, max_lift, max_lower, resources_too)
    made = made_up(types, *side, max_lift)
    if made is None:
        return emit_transfer(kind, max_lift, max_lower, resources_too)
    guest, cx, words = made
    subtask = d.Subtask()
    cx = Context(guest, side[1], source, subtask)
    into = random_target(other_side[0])
    allocator = target_text(into)
    out = random_out() if kind == "result" else None
    cores = core_types(types, cx, max_lift)
    vi = d.CoreValueIter([from_word(w, c) for w, c in zip(words, cores)])
    try:
        values = d.lift_flat_values(cx, max_lift, vi, types)
        outcome = None
    except Trapped as t:
        outcome = "trap " + t.reason
    if outcome is None:
        outcome = lowered(Context(into, other_side[1], target, task), into, max_lower, values, types, out)
    print("transfer", kind, side_text(*side), side_text(*other_side), f"{max_lift} {max_lower}", type_text(d.TupleType(types)), words_text(words),
          hexed(guest.memory.bytes), "-" if out is None else out, allocator, outcome, calls_text(into.calls), hexed(into.memory.bytes),
          handles_text(source, resources), handles_text(target, resources), sep="\t")


print("# Made by record.py from the Component Model's definitions.py; see there.")
for _ in range(140):
    emit_lift("params", 16)
    emit_lift("result", 1)
for _ in range(120):
    emit_lower("params", 16)
    emit_lower("result", 1)
for i in range(230):
    emit_transfer("params", 16 if i % 3 else 4, 16, i % 2 == 0)
    emit_transfer("result", 1 if i % 3 else 16, 1 if i % 5 else 0, i % 4 == 0)
