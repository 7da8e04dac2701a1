//! How the command is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A position-independent executable of this size spends half a millisecond of each start on 37,000 relocations
    // (docs/decisions/command.md). What guests can reach is mapped elsewhere, at random addresses, in any case.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
