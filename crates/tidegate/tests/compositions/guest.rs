//! Two guests that do what a script says, one of which calls the other.
//!
//! A guest asks the host for one byte after the other: which built-in to call next, and with what. It keeps what it has in slots, eight of each kind, and
//! tells the host of every answer. Usually it takes care to do only what is allowed; a script can make it stop caring.

/// How a guest is made.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// How its `async` functions are lifted.
    pub lift: Lift,
    /// It calls what blocks.
    pub blocks: bool,
}

/// How `async` functions are lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lift {
    /// With callbacks: tasks return to the host while they wait.
    Callback,
    /// Tasks keep their stacks.
    Stackful,
    /// Without the `async` option: so do these, one at a time.
    Blocking,
}

/// The compositions: the caller's style and the callee's. Compiled code runs isolates of which no two stacks wait at the same time, so some of these mix
/// engines.
pub const STYLES: [[Style; 2]; 9] = {
    const CALLS_BACK: Style = style(Lift::Callback, false);
    const BLOCKS: Style = style(Lift::Callback, true);
    const STACKS: Style = style(Lift::Stackful, false);
    const BOTH: Style = style(Lift::Stackful, true);
    const ALONE: Style = style(Lift::Blocking, true);
    [
        [BLOCKS, BLOCKS],
        [CALLS_BACK, STACKS],
        [BLOCKS, STACKS],
        [STACKS, BLOCKS],
        [BOTH, CALLS_BACK],
        [BLOCKS, BOTH],
        [ALONE, ALONE],
        [ALONE, STACKS],
        [BLOCKS, ALONE],
    ]
};

const fn style(lift: Lift, blocks: bool) -> Style {
    Style { lift, blocks }
}

const INTERFACES: &str = r#"
  (type $script (instance
    (export "next" (func (param "who" u32) (result u32)))
    (export "note" (func (param "who" u32) (param "what" u32) (param "value" u32)))))
  (type $peer (instance
    (export "go" (func async (param "x" u32) (result u32)))
    (export "take" (func async (param "s" (stream u8)) (param "f" (future u32)) (result u32)))
    (export "give" (func async (param "x" u32) (result (stream u8))))
    (export "plain" (func (param "x" u32) (result u32)))))"#;

/// The composition: `a` calls `b`, which calls the host.
pub fn composition([a, b]: [Style; 2]) -> String {
    let (a, b) = (guest(0, a), guest(1, b));
    format!(
        r#"(component {INTERFACES}
  (import "script" (instance $script (type $script)))
  (import "peer" (instance $peer (type $peer)))
  {}
  {}
  (instance $b (instantiate $guest1 (with "script" (instance $script)) (with "peer" (instance $peer))))
  (instance $a (instantiate $guest0 (with "script" (instance $script)) (with "peer" (instance $b))))
  (export "a" (instance $a))
  (export "b" (instance $b)))"#,
        a, b
    )
}

/// Where the slots of each kind lie, and 512 bytes further what is known of them: 0 nothing, 1 an operation is under way, 2 only to be dropped, 3 it is
/// being cancelled.
const STREAMS_IN: u32 = 1024;
const STREAMS_OUT: u32 = 1056;
const FUTURES_IN: u32 = 1088;
const FUTURES_OUT: u32 = 1120;
const SETS: u32 = 1152;
const SUBTASKS: u32 = 1184;

/// The core functions of the built-ins: name, definition, core type.
fn builtins(style: Style) -> Vec<(&'static str, String, &'static str)> {
    let memory = r#"(memory $memory "memory")"#;
    let cancels = if style.blocks { "" } else { " async" };
    let mut all = vec![
        (
            "next",
            r#"lower (func $script "next")"#.to_owned(),
            "(param i32) (result i32)",
        ),
        (
            "note",
            r#"lower (func $script "note")"#.to_owned(),
            "(param i32 i32 i32)",
        ),
        ("s-new", "stream.new $bytes".to_owned(), "(result i64)"),
        (
            "s-read",
            format!("stream.read $bytes async {memory}"),
            "(param i32 i32 i32) (result i32)",
        ),
        (
            "s-write",
            format!("stream.write $bytes async {memory}"),
            "(param i32 i32 i32) (result i32)",
        ),
        (
            "s-cancel-read",
            format!("stream.cancel-read $bytes{cancels}"),
            "(param i32) (result i32)",
        ),
        (
            "s-cancel-write",
            format!("stream.cancel-write $bytes{cancels}"),
            "(param i32) (result i32)",
        ),
        (
            "s-drop-read",
            "stream.drop-readable $bytes".to_owned(),
            "(param i32)",
        ),
        (
            "s-drop-write",
            "stream.drop-writable $bytes".to_owned(),
            "(param i32)",
        ),
        ("f-new", "future.new $number".to_owned(), "(result i64)"),
        (
            "f-read",
            format!("future.read $number async {memory}"),
            "(param i32 i32) (result i32)",
        ),
        (
            "f-write",
            format!("future.write $number async {memory}"),
            "(param i32 i32) (result i32)",
        ),
        (
            "f-cancel-read",
            format!("future.cancel-read $number{cancels}"),
            "(param i32) (result i32)",
        ),
        (
            "f-cancel-write",
            format!("future.cancel-write $number{cancels}"),
            "(param i32) (result i32)",
        ),
        (
            "f-drop-read",
            "future.drop-readable $number".to_owned(),
            "(param i32)",
        ),
        (
            "f-drop-write",
            "future.drop-writable $number".to_owned(),
            "(param i32)",
        ),
        ("set-new", "waitable-set.new".to_owned(), "(result i32)"),
        (
            "set-poll",
            format!("waitable-set.poll {memory}"),
            "(param i32 i32) (result i32)",
        ),
        ("set-drop", "waitable-set.drop".to_owned(), "(param i32)"),
        ("join", "waitable.join".to_owned(), "(param i32 i32)"),
        (
            "go",
            format!(r#"lower (func $peer "go") async {memory}"#),
            "(param i32 i32) (result i32)",
        ),
        (
            "take",
            format!(r#"lower (func $peer "take") async {memory}"#),
            "(param i32 i32 i32) (result i32)",
        ),
        (
            "give",
            format!(r#"lower (func $peer "give") async {memory}"#),
            "(param i32 i32) (result i32)",
        ),
        (
            "plain",
            r#"lower (func $peer "plain")"#.to_owned(),
            "(param i32) (result i32)",
        ),
        (
            "subtask-cancel",
            format!("subtask.cancel{cancels}"),
            "(param i32) (result i32)",
        ),
        ("subtask-drop", "subtask.drop".to_owned(), "(param i32)"),
        ("inc", "backpressure.inc".to_owned(), ""),
        ("dec", "backpressure.dec".to_owned(), ""),
        (
            "return-number",
            "task.return (result u32)".to_owned(),
            "(param i32)",
        ),
        (
            "return-stream",
            "task.return (result $bytes)".to_owned(),
            "(param i32)",
        ),
        ("cancelled", "task.cancel".to_owned(), ""),
        (
            "r-new",
            "resource.new $r".to_owned(),
            "(param i32) (result i32)",
        ),
        ("r-drop", "resource.drop $r".to_owned(), "(param i32)"),
        ("get", "context.get i32 0".to_owned(), "(result i32)"),
        ("set", "context.set i32 0".to_owned(), "(param i32)"),
    ];
    if style.blocks {
        all.extend([
            (
                "set-wait",
                format!("waitable-set.wait {memory}"),
                "(param i32 i32) (result i32)",
            ),
            ("yield", "thread.yield".to_owned(), "(result i32)"),
            (
                "go-sync",
                r#"lower (func $peer "go")"#.to_owned(),
                "(param i32) (result i32)",
            ),
            (
                "give-sync",
                r#"lower (func $peer "give")"#.to_owned(),
                "(param i32) (result i32)",
            ),
            (
                "s-read-sync",
                format!("stream.read $bytes {memory}"),
                "(param i32 i32 i32) (result i32)",
            ),
            (
                "s-write-sync",
                format!("stream.write $bytes {memory}"),
                "(param i32 i32 i32) (result i32)",
            ),
            (
                "f-read-sync",
                format!("future.read $number {memory}"),
                "(param i32 i32) (result i32)",
            ),
        ]);
    }
    all
}

fn guest(who: u32, style: Style) -> String {
    let builtins = builtins(style);
    let each = |line: &dyn Fn(&str, &str, &str) -> String| -> String {
        builtins
            .iter()
            .map(|(name, canon, ty)| line(name, canon, ty))
            .collect()
    };
    let canons = each(&|name, canon, _| format!("  (core func ${name} (canon {canon}))\n"));
    let imports =
        each(&|name, _, ty| format!("    (import \"\" \"{name}\" (func ${name} {ty}))\n"));
    let given = each(&|name, _, _| format!("(export \"{name}\" (func ${name})) "));
    let lift = |name: &str| match style.lift {
        Lift::Callback => {
            format!(r#"(canon lift (core func $i "{name}") async (callback (func $i "callback")))"#)
        }
        Lift::Stackful => format!(r#"(canon lift (core func $i "{name}") async)"#),
        Lift::Blocking => format!(r#"(canon lift (core func $i "{name}"))"#),
    };
    format!(
        r#"(component $guest{who} {INTERFACES}
  (import "script" (instance $script (type $script)))
  (import "peer" (instance $peer (type $peer)))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core module $d
    (type $dtor (func (param i32)))
    (table (export "table") 1 funcref)
    (func (export "dtor") (param i32) (call_indirect (type $dtor) (local.get 0) (i32.const 0))))
  (core instance $d (instantiate $d))
  (type $bytes (stream u8))
  (type $number (future u32))
  (type $r (resource (rep i32) (dtor (core func $d "dtor"))))
{canons}
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "table" (table 1 funcref))
    (elem (i32.const 0) $dtor)
{imports}
    (global $wild (mut i32) (i32.const 0))
    (global $pressure (mut i32) (i32.const 0))
    (global $counter (mut i32) (i32.const 0))
{helpers}
{segment}
{entries}
  )
  (core instance $i (instantiate $m (with "" (instance (export "memory" (memory $memory "memory"))
    (export "table" (table $d "table")) {given}))))
  (func (export "go") async (param "x" u32) (result u32) {go})
  (func (export "take") async (param "s" (stream u8)) (param "f" (future u32)) (result u32) {take})
  (func (export "give") async (param "x" u32) (result (stream u8)) {give})
  (func (export "plain") (param "x" u32) (result u32) (canon lift (core func $i "plain"))))"#,
        helpers = helpers(who),
        segment = segment(style),
        entries = entries(style),
        go = lift("go"),
        take = lift("take"),
        give = lift("give"),
    )
}

fn helpers(who: u32) -> String {
    format!(
        r#"
    (func $byte (result i32) (call $next (i32.const {who})))
    (func $tell (param i32 i32) (call $note (i32.const {who}) (local.get 0) (local.get 1)))
    ;; A slot of this kind with something in it, or the first that was looked at.
    (func $pick (param $kind i32) (result i32)
      (local $from i32) (local $n i32) (local $at i32)
      (local.set $from (call $byte))
      (loop $again
        (local.set $at (i32.add (local.get $kind)
          (i32.shl (i32.and (i32.add (local.get $from) (local.get $n)) (i32.const 7)) (i32.const 2))))
        (if (i32.load (local.get $at)) (then (return (local.get $at))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 8))))
      (i32.add (local.get $kind) (i32.shl (i32.and (local.get $from) (i32.const 7)) (i32.const 2))))
    ;; A slot of this kind with nothing in it, or 0.
    (func $free (param $kind i32) (result i32)
      (local $n i32) (local $at i32)
      (loop $again
        (local.set $at (i32.add (local.get $kind) (i32.shl (local.get $n) (i32.const 2))))
        (if (i32.eqz (i32.load (local.get $at))) (then (return (local.get $at))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 8))))
      (i32.const 0))
    (func $put (param $at i32) (param $handle i32)
      (i32.store (local.get $at) (local.get $handle))
      (i32.store offset=512 (local.get $at) (i32.const 0)))
    (func $mark (param $at i32) (param $what i32) (i32.store offset=512 (local.get $at) (local.get $what)))
    ;; Whether a slot holds something of which this is known; or something at all, for those who do not care.
    (func $is (param $at i32) (param $what i32) (result i32)
      (i32.and (i32.ne (i32.load (local.get $at)) (i32.const 0))
        (i32.or (global.get $wild) (i32.eq (i32.load offset=512 (local.get $at)) (local.get $what)))))
    ;; Where the items of a slot lie, and its number.
    (func $buffer (param $at i32) (result i32)
      (i32.add (i32.const 4096) (i32.shl (i32.sub (local.get $at) (i32.const {STREAMS_IN})) (i32.const 6))))
    ;; What a copy came to.
    (func $copied (param $at i32) (param $result i32)
      (call $tell (i32.const 1) (local.get $result))
      (if (i32.eq (local.get $result) (i32.const -1))
        (then (call $mark (local.get $at) (i32.const 1)))
        (else (call $ended (local.get $at) (local.get $result)))))
    (func $ended (param $at i32) (param $result i32)
      (call $tell (i32.const 2) (i32.load (call $buffer (local.get $at))))
      (call $mark (local.get $at)
        (i32.or
          (i32.shl (i32.eq (i32.and (local.get $result) (i32.const 15)) (i32.const 1)) (i32.const 1))
          ;; A future has but one value.
          (i32.shl (i32.and (i32.ge_u (local.get $at) (i32.const {FUTURES_IN}))
            (i32.eqz (local.get $result))) (i32.const 1)))))
    (func $cancelled-copy (param $at i32) (param $result i32)
      (call $tell (i32.const 3) (local.get $result))
      (if (i32.eq (local.get $result) (i32.const -1))
        (then (call $mark (local.get $at) (i32.const 3)))
        (else (call $ended (local.get $at) (local.get $result)))))
    ;; What a call came to.
    (func $called (param $at i32) (param $result i32)
      (call $tell (i32.const 4) (local.get $result))
      (if (i32.shr_u (local.get $result) (i32.const 4))
        (then
          (call $put (local.get $at) (i32.shr_u (local.get $result) (i32.const 4)))
          (call $mark (local.get $at) (i32.const 1)))))
    ;; Looks for the slot that an event is of.
    (func $event (param $code i32) (param $index i32) (param $payload i32)
      (local $at i32) (local $end i32)
      (call $tell (i32.add (i32.const 16) (local.get $code)) (local.get $index))
      (call $tell (i32.const 5) (local.get $payload))
      (if (i32.eq (local.get $code) (i32.const 6))
        (then (call $set (i32.or (call $get) (i32.const 32))) (return)))
      (if (i32.eqz (local.get $code)) (then (return)))
      (local.set $at (i32.add (i32.const {STREAMS_IN})
        (i32.shl (i32.sub (local.get $code) (i32.const 2)) (i32.const 5))))
      (if (i32.eq (local.get $code) (i32.const 1)) (then (local.set $at (i32.const {SUBTASKS}))))
      (local.set $end (i32.add (local.get $at) (i32.const 32)))
      (loop $again
        (if (i32.eq (i32.load (local.get $at)) (local.get $index))
          (then
            (if (i32.eq (local.get $code) (i32.const 1))
              (then (if (i32.ge_u (local.get $payload) (i32.const 2))
                (then (call $mark (local.get $at) (i32.const 0)))))
              (else (call $ended (local.get $at) (local.get $payload))))
            (return)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br_if $again (i32.lt_u (local.get $at) (local.get $end)))))
    ;; Returns, if the task has not: 0 and 1 give a number, 2 a stream.
    (func $give-back (param $kind i32)
      (local $both i64) (local $at i32)
      (if (i32.and (call $get) (i32.const 16)) (then (return)))
      (call $set (i32.or (call $get) (i32.const 16)))
      (if (i32.and (call $get) (i32.const 32))
        (then (if (i32.and (call $byte) (i32.const 1)) (then (call $cancelled) (return)))))
      (if (i32.lt_u (local.get $kind) (i32.const 2)) (then (call $return-number (call $byte)) (return)))
      (local.set $both (call $s-new))
      (local.set $at (call $free (i32.const {STREAMS_OUT})))
      (if (local.get $at)
        (then (call $put (local.get $at) (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32)))))
        (else (call $s-drop-write (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32))))))
      (call $return-stream (i32.wrap_i64 (local.get $both))))"#
    )
}

/// What a byte of the script may say, once for each byte that says it.
fn operations(style: Style) -> Vec<String> {
    let mut all = vec![
        // A stream and a future, and what can be done with their ends.
        new("s-new", STREAMS_IN, STREAMS_OUT),
        new("f-new", FUTURES_IN, FUTURES_OUT),
        stream_copy("s-read", STREAMS_IN),
        stream_copy("s-read", STREAMS_IN),
        stream_copy("s-write", STREAMS_OUT),
        stream_copy("s-write", STREAMS_OUT),
        future_copy("f-read", FUTURES_IN),
        future_copy("f-write", FUTURES_OUT),
        on(STREAMS_IN, 1, "(call $cancelled-copy (local.get $at) (call $s-cancel-read (i32.load (local.get $at))))"),
        on(STREAMS_OUT, 1, "(call $cancelled-copy (local.get $at) (call $s-cancel-write (i32.load (local.get $at))))"),
        on(FUTURES_IN, 1, "(call $cancelled-copy (local.get $at) (call $f-cancel-read (i32.load (local.get $at))))"),
        on(FUTURES_OUT, 1, "(call $cancelled-copy (local.get $at) (call $f-cancel-write (i32.load (local.get $at))))"),
        on(STREAMS_IN, 0, "(call $s-drop-read (i32.load (local.get $at))) (call $put (local.get $at) (i32.const 0))"),
        on(STREAMS_IN, 2, "(call $s-drop-read (i32.load (local.get $at))) (call $put (local.get $at) (i32.const 0))"),
        on(STREAMS_OUT, 0, "(call $s-drop-write (i32.load (local.get $at))) (call $put (local.get $at) (i32.const 0))"),
        on(STREAMS_OUT, 2, "(call $s-drop-write (i32.load (local.get $at))) (call $put (local.get $at) (i32.const 0))"),
        on(FUTURES_IN, 0, "(call $f-drop-read (i32.load (local.get $at))) (call $put (local.get $at) (i32.const 0))"),
        on(FUTURES_OUT, 2, "(call $f-drop-write (i32.load (local.get $at))) (call $put (local.get $at) (i32.const 0))"),
        // Waitable sets.
        format!("(local.set $at (call $free (i32.const {SETS}))) (if (local.get $at) (then (call $put (local.get $at) (call $set-new))))"),
        join(STREAMS_IN),
        join(STREAMS_OUT),
        join(FUTURES_IN),
        join(FUTURES_OUT),
        join(SUBTASKS),
        poll("set-poll"),
        format!("(if (i32.eqz (i32.and (call $byte) (i32.const 3))) (then {}))",
            on(SETS, 0, "(call $set-drop (i32.load (local.get $at))) (call $put (local.get $at) (i32.const 0))")),
        // Calls.
        call("(call $go (call $byte) (i32.add (i32.const 12288) (local.get $at)))"),
        call("(call $go (call $byte) (i32.add (i32.const 12288) (local.get $at)))"),
        call("(call $give (call $byte) (i32.add (i32.const 1536) (local.get $at)))"),
        format!("(local.set $in (call $pick (i32.const {STREAMS_IN}))) (local.set $out (call $pick (i32.const {FUTURES_IN})))
          (if (i32.and (call $is (local.get $in) (i32.const 0)) (call $is (local.get $out) (i32.const 0))) (then {}))",
            call("(call $take (i32.load (local.get $in)) (i32.load (local.get $out)) (i32.add (i32.const 12288) (local.get $at)))
              (call $put (local.get $in) (i32.const 0)) (call $put (local.get $out) (i32.const 0))")),
        "(call $tell (i32.const 6) (call $plain (call $byte)))".to_owned(),
        on(SUBTASKS, 1, "(local.set $in (call $subtask-cancel (i32.load (local.get $at))))
          (call $tell (i32.const 7) (local.get $in))
          (call $mark (local.get $at) (select (i32.const 3) (i32.const 0) (i32.eq (local.get $in) (i32.const -1))))"),
        on(SUBTASKS, 0, "(call $subtask-drop (i32.load (local.get $at))) (call $put (local.get $at) (i32.const 0))"),
        // The stream that a call gave, if it has.
        format!("(local.set $at (i32.add (i32.const 1536) (call $pick (i32.const {SUBTASKS}))))
          (local.set $in (call $free (i32.const {STREAMS_IN})))
          (if (i32.and (i32.ne (local.get $in) (i32.const 0)) (i32.ne (i32.load (local.get $at)) (i32.const 0)))
            (then (call $put (local.get $in) (i32.load (local.get $at))) (i32.store (local.get $at) (i32.const 0))))"),
        // A resource of its own, whose destructor does what the script says.
        "(call $r-drop (call $r-new (call $byte)))".to_owned(),
        // The task itself.
        "(call $inc) (global.set $pressure (i32.add (global.get $pressure) (i32.const 1)))".to_owned(),
        "(if (i32.or (global.get $wild) (global.get $pressure))
          (then (call $dec) (global.set $pressure (i32.sub (global.get $pressure) (i32.const 1)))))".to_owned(),
        "(if (i32.eqz (local.get $sync)) (then (call $give-back (local.get $kind))))".to_owned(),
        "(if (i32.eqz (local.get $sync)) (then (return (i32.const 1))))".to_owned(),
        format!("(if (i32.eqz (local.get $sync)) (then {}))",
            on(SETS, 0, "(return (i32.or (i32.const 2) (i32.shl (i32.load (local.get $at)) (i32.const 4))))")),
        // What is not allowed.
        "(if (i32.eqz (i32.and (call $byte) (i32.const 31))) (then (global.set $wild (i32.xor (global.get $wild) (i32.const 1)))))".to_owned(),
        "(if (i32.eqz (i32.and (call $byte) (i32.const 63))) (then unreachable))".to_owned(),
        "(if (i32.eqz (i32.and (call $byte) (i32.const 63)))
          (then (i32.store (i32.add (i32.const 1024) (i32.shl (i32.rem_u (call $byte) (i32.const 48)) (i32.const 2))) (call $byte))))".to_owned(),
    ];
    if style.blocks {
        all.extend([
            may_trap(format!("(if (i32.eqz (i32.and (call $byte) (i32.const 1))) (then {}))", poll("set-wait"))),
            "(call $tell (i32.const 8) (call $yield))".to_owned(),
            may_trap("(call $tell (i32.const 9) (call $go-sync (call $byte)))".to_owned()),
            may_trap(format!("(local.set $in (call $give-sync (call $byte)))
              (call $tell (i32.const 10) (local.get $in))
              (local.set $at (call $free (i32.const {STREAMS_IN})))
              (if (local.get $at) (then (call $put (local.get $at) (local.get $in))) (else (call $s-drop-read (local.get $in))))")),
            may_trap(stream_copy("s-read-sync", STREAMS_IN)),
            may_trap(stream_copy("s-write-sync", STREAMS_OUT)),
            may_trap(future_copy("f-read-sync", FUTURES_IN)),
        ]);
    }
    all
}

/// Does something with a slot of a kind, if it holds something of which this is known.
fn on(kind: u32, known: u32, code: &str) -> String {
    format!(
        "(local.set $at (call $pick (i32.const {kind})))
          (if (call $is (local.get $at) (i32.const {known})) (then {code}))"
    )
}

fn new(name: &str, readable: u32, writable: u32) -> String {
    format!(
        "(local.set $in (call $free (i32.const {readable}))) (local.set $out (call $free (i32.const {writable})))
          (if (i32.and (i32.ne (local.get $in) (i32.const 0)) (i32.ne (local.get $out) (i32.const 0)))
            (then
              (local.set $both (call ${name}))
              (call $put (local.get $in) (i32.wrap_i64 (local.get $both)))
              (call $put (local.get $out) (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32))))))"
    )
}

fn stream_copy(name: &str, kind: u32) -> String {
    let fill = if kind == STREAMS_OUT { FILL } else { "" };
    on(
        kind,
        0,
        &format!(
            "{fill}(call $copied (local.get $at)
              (call ${name} (i32.load (local.get $at)) (call $buffer (local.get $at)) (call $byte)))"
        ),
    )
}

fn future_copy(name: &str, kind: u32) -> String {
    let fill = if kind == FUTURES_OUT { FILL } else { "" };
    on(
        kind,
        0,
        &format!(
            "{fill}(call $copied (local.get $at)
              (call ${name} (i32.load (local.get $at)) (call $buffer (local.get $at))))"
        ),
    )
}

/// Puts numbers where a write takes its items from.
const FILL: &str = "(global.set $counter (i32.add (global.get $counter) (i32.const 0x01030507)))
            (i32.store (call $buffer (local.get $at)) (global.get $counter)) ";

fn join(kind: u32) -> String {
    format!(
        "(local.set $in (call $pick (i32.const {kind}))) (local.set $out (call $pick (i32.const {SETS})))
          (if (i32.load (local.get $in)) (then (call $join (i32.load (local.get $in)) (i32.load (local.get $out)))))"
    )
}

fn poll(name: &str) -> String {
    on(
        SETS,
        0,
        &format!(
            "(call $event (call ${name} (i32.load (local.get $at)) (i32.const 16)) (i32.load (i32.const 16)) (i32.load (i32.const 20)))"
        ),
    )
}

/// What is not allowed in a function that is not `async`, where it would block: now and then it is done all the same.
fn may_trap(code: String) -> String {
    format!(
        "(if (i32.or (i32.ne (local.get $sync) (i32.const 1)) (i32.eqz (i32.and (call $byte) (i32.const 15)))) (then {code}))"
    )
}

fn call(code: &str) -> String {
    format!(
        "(local.set $at (call $free (i32.const {SUBTASKS}))) (if (local.get $at) (then (call $called (local.get $at) {code})))"
    )
}

/// Does what the script says until it says that the task is over, or waits. Gives what a callback returns. `$sync` is 0 in tasks that return by a built-in, and
/// 1 in functions that are not `async`.
fn segment(style: Style) -> String {
    let operations = operations(style);
    let count = operations.len();
    let cases: String = operations
        .iter()
        .enumerate()
        .map(|(number, code)| {
            format!(
                "        (if (i32.eq (local.get $op) (i32.const {number})) (then {code} (br $again)))\n"
            )
        })
        .collect();
    // Byte 0, which comes when the script is over, ends the task.
    format!(
        r#"
    (func $segment (param $kind i32) (param $sync i32) (result i32)
      (local $op i32) (local $at i32) (local $in i32) (local $out i32) (local $both i64)
      (loop $again
        (local.set $op (call $byte))
        (if (i32.ge_u (local.get $op) (i32.const 8))
          (then
        (local.set $op (i32.rem_u (i32.sub (local.get $op) (i32.const 8)) (i32.const {count})))
{cases}          )))
      (if (i32.eqz (local.get $sync)) (then (call $give-back (local.get $kind))))
      (i32.const 0))"#
    )
}

fn entries(style: Style) -> String {
    // What a task does first.
    let begin = |kind: u32, first: &str| {
        format!("{first} (call $set (i32.const {kind})) (call $begin (i32.const {kind}))")
    };
    let keep = format!(
        "(local.set $at (call $free (i32.const {STREAMS_IN})))
      (if (local.get $at) (then (call $put (local.get $at) (local.get 0))) (else (call $s-drop-read (local.get 0))))
      (local.set $at (call $free (i32.const {FUTURES_IN})))
      (if (local.get $at) (then (call $put (local.get $at) (local.get 1))) (else (call $f-drop-read (local.get 1))))"
    );
    let (result, runs) = match style.lift {
        Lift::Callback => (
            "(result i32)",
            "(func $begin (param i32) (result i32) (call $segment (local.get 0) (i32.const 0)))
    (func (export \"callback\") (param i32 i32 i32) (result i32)
      (call $event (local.get 0) (local.get 1) (local.get 2))
      (call $segment (i32.and (call $get) (i32.const 15)) (i32.const 0)))"
                .to_owned(),
        ),
        Lift::Blocking => (
            "(result i32)",
            format!(
                "(func $begin (param $kind i32) (result i32)
      (local $both i64) (local $at i32)
      (drop (call $segment (local.get $kind) (i32.const 2)))
      (if (i32.lt_u (local.get $kind) (i32.const 2)) (then (return (call $byte))))
      (local.set $both (call $s-new))
      (local.set $at (call $free (i32.const {STREAMS_OUT})))
      (if (local.get $at)
        (then (call $put (local.get $at) (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32)))))
        (else (call $s-drop-write (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32))))))
      (i32.wrap_i64 (local.get $both)))"
            ),
        ),
        Lift::Stackful => stackful(style),
    };
    format!(
        r#"
    {runs}
    (func (export "go") (param i32) {result} (call $tell (i32.const 32) (local.get 0)) {go})
    (func (export "take") (param i32 i32) {result} (local $at i32) {take})
    (func (export "give") (param i32) {result} (call $tell (i32.const 33) (local.get 0)) {give})
    (func (export "plain") (param i32) (result i32)
      (call $tell (i32.const 34) (local.get 0))
      (drop (call $segment (i32.const 3) (i32.const 1)))
      (call $byte))
    (func $dtor (param i32)
      (call $tell (i32.const 35) (local.get 0))
      (drop (call $segment (i32.const 3) (i32.const 1)))
      (call $tell (i32.const 36) (local.get 0)))"#,
        go = begin(0, ""),
        take = begin(1, &keep),
        give = begin(2, ""),
    )
}

/// What runs the tasks that keep their stacks, and what their functions give.
fn stackful(style: Style) -> (&'static str, String) {
    let (rest, wait) = match style.blocks {
        true => (
            "(drop (call $yield))",
            "(call $event (call $set-wait (local.get $code) (i32.const 16)) (i32.load (i32.const 16)) (i32.load (i32.const 20)))",
        ),
        false => (
            "",
            "(call $event (call $set-poll (local.get $code) (i32.const 16)) (i32.load (i32.const 16)) (i32.load (i32.const 20)))",
        ),
    };
    (
        "",
        format!(
            "(func $begin (param $kind i32)
      (local $code i32)
      (loop $again
        (local.set $code (call $segment (local.get $kind) (i32.const 0)))
        (if (i32.eqz (local.get $code)) (then (return)))
        (local.set $code (i32.shr_u (local.get $code) (i32.const 4)))
        (if (local.get $code) (then {wait}) (else {rest}))
        (br $again)))"
        ),
    )
}
