//! Executes a script, directive by directive.

use super::values;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use std::collections::HashMap;
use tidegate::{Component, Config, Engine, Instance, Linker, Store, Strategy, Val};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

/// What counts as passing.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether a trap or refusal must say what the script says.
    pub compare_messages: bool,
    /// Interrupts guests at every so many opportunities.
    pub pause_often: Option<std::num::NonZeroU32>,
}

/// One directive, executed.
#[derive(Debug)]
pub struct Directive {
    /// The line where it stands, from 1.
    pub line: usize,
    /// Its keyword.
    pub name: &'static str,
    /// How it went.
    pub verdict: Verdict,
}

/// How a directive went.
#[derive(Debug)]
pub enum Verdict {
    /// As the script says.
    Passed,
    /// Otherwise, and how.
    Failed(anyhow::Error),
}

/// The state of a script that is being executed. All its instances live in one store, as the script's author may expect: one that
/// trapped must not disturb the others.
pub struct Script {
    settings: Settings,
    engine: Engine,
    linker: Linker<()>,
    store: Store<()>,
    definitions: Named<Component>,
    instances: Named<Instance>,
}

/// Things of a script that may have a name; the newest is meant where no name is given.
struct Named<V> {
    by_name: HashMap<String, V>,
    newest: Option<V>,
}

impl<V: Clone> Named<V> {
    fn new() -> Self {
        Self {
            by_name: HashMap::new(),
            newest: None,
        }
    }

    fn add(&mut self, id: Option<Id<'_>>, value: V) {
        if let Some(id) = id {
            self.by_name.insert(id.name().into(), value.clone());
        }
        self.newest = Some(value);
    }

    fn get(&self, id: Option<Id<'_>>, what: &str) -> Result<&V> {
        match id {
            Some(id) => self
                .by_name
                .get(id.name())
                .with_context(|| format!("there is no {what} ${}", id.name())),
            None => self
                .newest
                .as_ref()
                .with_context(|| format!("there is no {what} yet")),
        }
    }
}

impl Script {
    /// A script that has not begun, with engines of its own.
    pub fn new(strategy: Strategy, settings: Settings) -> Result<Self> {
        let mut config = Config::new();
        // The vectors demand what the specification says for now.
        config.strategy(strategy).intra_component_copies(false);
        if let Some(every) = settings.pause_often {
            config.pause_often(every);
        }
        let engine = Engine::new(&config)?;
        Ok(Self {
            settings,
            linker: Linker::new(&engine),
            store: Store::new(&engine, ()),
            engine,
            definitions: Named::new(),
            instances: Named::new(),
        })
    }

    /// Executes all of a script and hands over each directive's verdict.
    ///
    /// # Errors
    /// The text is not a script, with the place.
    pub fn run(&mut self, text: &str, mut done: impl FnMut(Directive)) -> Result<()> {
        let mut lexer = Lexer::new(text);
        // The vectors write texts in other scripts than Latin on purpose.
        lexer.allow_confusing_unicode(true);
        let buffer = ParseBuffer::new_with_lexer(lexer)?;
        let script: Wast<'_> = parser::parse(&buffer)?;
        for directive in script.directives {
            let line = directive.span().linecol_in(text).0 + 1;
            let name = keyword(&directive);
            let verdict = match self.directive(directive) {
                Ok(()) => Verdict::Passed,
                Err(error) => Verdict::Failed(error),
            };
            done(Directive {
                line,
                name,
                verdict,
            });
        }
        Ok(())
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Result<()> {
        match directive {
            WastDirective::Module(mut wat) => {
                let id = wat.name();
                let component = self.compile(&mut wat)?;
                let instance = self.instantiate(&component)?;
                self.instances.add(id, instance);
            }
            WastDirective::ModuleDefinition(mut wat) => {
                let id = wat.name();
                let component = self.compile(&mut wat)?;
                self.definitions.add(id, component);
            }
            WastDirective::ModuleInstance {
                instance, module, ..
            } => {
                let component = self
                    .definitions
                    .get(module, "component definition")?
                    .clone();
                let made = self.instantiate(&component)?;
                self.instances.add(instance, made);
            }
            WastDirective::Invoke(invoke) => {
                self.invoke(&invoke)?;
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                let found = self.execute(exec)?;
                compare(&found, &results)?;
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                let result = self
                    .execute(exec)
                    .map(|values| format!("it returned {values:?}"));
                self.refused(result, message)?;
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                let result = self
                    .invoke(&call)
                    .map(|values| format!("it returned {values:?}"));
                self.refused(result, message)?;
            }
            WastDirective::AssertInvalid {
                mut module,
                message,
                ..
            }
            | WastDirective::AssertMalformed {
                mut module,
                message,
                ..
            } => {
                // Text that cannot be parsed is refused in the parser's words, which say nothing of us.
                if let Ok(bytes) = module.encode() {
                    let result =
                        Component::new(&self.engine, &bytes).map(|_| "it was accepted".into());
                    self.refused(result, message)?;
                }
            }
            WastDirective::AssertUnlinkable {
                module, message, ..
            } => {
                let component = self.compile(&mut QuoteWat::Wat(module))?;
                let result = self
                    .instantiate(&component)
                    .map(|_| "it was instantiated".into());
                self.refused(result, message)?;
            }
            other => bail!(
                "`{}` is not supported in a script of components",
                keyword(&other)
            ),
        }
        Ok(())
    }

    fn compile(&self, wat: &mut QuoteWat<'_>) -> Result<Component> {
        if !is_component(wat) {
            bail!("core modules are not supported outside components");
        }
        Component::new(&self.engine, wat.encode()?)
    }

    fn instantiate(&mut self, component: &Component) -> Result<Instance> {
        self.linker.instantiate(&mut self.store, component)
    }

    fn execute(&mut self, execute: WastExecute<'_>) -> Result<Vec<Val>> {
        match execute {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(wat) => {
                let component = self.compile(&mut QuoteWat::Wat(wat))?;
                self.instantiate(&component)?;
                Ok(Vec::new())
            }
            WastExecute::Get { .. } => bail!("a component has no globals"),
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Vec<Val>> {
        let instance = self.instances.get(invoke.module, "instance")?.clone();
        let func = instance
            .get_func(&mut self.store, invoke.name)
            .with_context(|| format!("there is no function {:?}", invoke.name))?;
        let arguments = invoke
            .args
            .iter()
            .map(|argument| match argument {
                WastArg::Component(value) => Ok(values::to_val(value)),
                _ => bail!("a component's function takes no core value"),
            })
            .collect::<Result<Vec<_>>>()?;
        let count = usize::from(func.ty().0.result.is_some());
        let mut results = vec![Val::Bool(false); count];
        func.call(&mut self.store, &arguments, &mut results)?;
        Ok(results)
    }

    /// Checks that something was refused, with the message that the script gives.
    fn refused(&self, result: Result<String>, message: &str) -> Result<()> {
        let error = match result {
            Ok(what) => bail!("{what}, expected: {message}"),
            Err(error) => error,
        };
        // Some scripts begin with what one engine puts before every trap.
        let message = message.strip_prefix("wasm trap: ").unwrap_or(message);
        let said = format!("{error:#}");
        ensure!(
            !self.settings.compare_messages || said.contains(message),
            "expected: {message}\nfound: {said}"
        );
        Ok(())
    }
}

fn compare(found: &[Val], expected: &[WastRet<'_>]) -> Result<()> {
    let expected = expected
        .iter()
        .map(|value| match value {
            WastRet::Component(value) => Ok(values::to_val(value)),
            _ => Err(anyhow!("a component's function gives no core value")),
        })
        .collect::<Result<Vec<_>>>()?;
    let equal = found.len() == expected.len()
        && found
            .iter()
            .zip(&expected)
            .all(|(found, expected)| values::equal(found, expected));
    ensure!(equal, "expected: {expected:?}\nfound: {found:?}");
    Ok(())
}

fn is_component(wat: &QuoteWat<'_>) -> bool {
    matches!(
        wat,
        QuoteWat::Wat(wast::Wat::Component(_)) | QuoteWat::QuoteComponent(..)
    )
}

fn keyword(directive: &WastDirective<'_>) -> &'static str {
    match directive {
        WastDirective::Module(_) => "component",
        WastDirective::ModuleDefinition(_) => "component definition",
        WastDirective::ModuleInstance { .. } => "component instance",
        WastDirective::AssertMalformed { .. } => "assert_malformed",
        WastDirective::AssertInvalid { .. } => "assert_invalid",
        WastDirective::AssertInvalidCustom { .. } => "assert_invalid_custom",
        WastDirective::AssertMalformedCustom { .. } => "assert_malformed_custom",
        WastDirective::Register { .. } => "register",
        WastDirective::Invoke(_) => "invoke",
        WastDirective::AssertTrap { .. } => "assert_trap",
        WastDirective::AssertReturn { .. } => "assert_return",
        WastDirective::AssertExhaustion { .. } => "assert_exhaustion",
        WastDirective::AssertUnlinkable { .. } => "assert_unlinkable",
        WastDirective::AssertException { .. } => "assert_exception",
        WastDirective::AssertSuspension { .. } => "assert_suspension",
        WastDirective::Thread(_) => "thread",
        WastDirective::Wait { .. } => "wait",
    }
}
