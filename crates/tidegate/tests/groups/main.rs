//! Groups: instances that share an isolate behave as they do apart, on both engines.

mod oracle;
mod rules;
mod signature;

use tidegate::{Config, Engine, EngineKind, Strategy};

const KINDS: [EngineKind; 2] = [EngineKind::Wasmtime, EngineKind::Wasmi];

fn engine(kind: EngineKind, groups: bool) -> Engine {
    let mut config = Config::new();
    config.strategy(Strategy::Always(kind)).groups(groups);
    config.core().trust_artifacts = true;
    Engine::new(&config).unwrap()
}

/// Both engines, with groups and without.
fn engines() -> Vec<Engine> {
    let both = |kind| [true, false].map(|groups| engine(kind, groups));
    KINDS.into_iter().flat_map(both).collect()
}
