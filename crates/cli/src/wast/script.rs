//! Executes a script, directive by directive.

use super::modules::{self, CoreInstance, Modules};
use super::{core_values, values};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use std::collections::HashMap;
use std::thread::{Scope, ScopedJoinHandle};
use tidegate::{Component, Config, Engine, Instance, Linker, Store, Strategy, Trap, TrapCode, Val};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, WastThread};

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
    strategy: Strategy,
    engine: Engine,
    linker: Linker<()>,
    store: Store<()>,
    /// What core modules are in, if there are any.
    modules: Option<Modules>,
    /// For modules, here and in threads.
    core: Option<tidegate_engine::Engine>,
    definitions: Named<Definition>,
    instances: Named<Made>,
}

/// What can be instantiated.
#[derive(Clone)]
enum Definition {
    Component(Component),
    Module(tidegate_engine::Module),
}

/// What has been instantiated.
#[derive(Clone)]
enum Made {
    Component(Instance),
    Module(CoreInstance),
}

/// What a call gives.
enum Values {
    Component(Vec<Val>),
    Module(Vec<core_values::Number>),
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Component(values) => values.fmt(f),
            Self::Module(values) => values.fmt(f),
        }
    }
}

/// A thread of a script that was not waited for yet.
struct Running<'scope> {
    name: String,
    handle: ScopedJoinHandle<'scope, Vec<Directive>>,
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
            strategy,
            linker: Linker::new(&engine),
            store: Store::new(&engine, ()),
            engine,
            modules: None,
            core: None,
            definitions: Named::new(),
            instances: Named::new(),
        })
    }

    /// Executes all of a script and hands over each directive's verdict; those of a thread when it is waited for.
    ///
    /// # Errors
    /// The text is not a script, with the place.
    pub fn run(&mut self, text: &str, mut done: impl FnMut(Directive)) -> Result<()> {
        let mut lexer = Lexer::new(text);
        // The vectors write texts in other scripts than Latin on purpose.
        lexer.allow_confusing_unicode(true);
        let buffer = ParseBuffer::new_with_lexer(lexer)?;
        let script: Wast<'_> = parser::parse(&buffer)?;
        std::thread::scope(|scope| {
            self.directives(scope, text, script.directives, &mut done);
        });
        Ok(())
    }

    fn directives<'scope, 'env>(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        text: &'scope str,
        directives: Vec<WastDirective<'scope>>,
        done: &mut dyn FnMut(Directive),
    ) {
        let mut threads: Vec<Running<'scope>> = Vec::new();
        for directive in directives {
            let line = directive.span().linecol_in(text).0 + 1;
            let name = keyword(&directive);
            let result = match directive {
                WastDirective::Thread(thread) => self
                    .thread(scope, text, thread)
                    .map(|running| threads.push(running)),
                WastDirective::Wait { thread, .. } => {
                    let position = threads.iter().position(|one| one.name == thread.name());
                    match position {
                        Some(position) => threads.remove(position).join(done),
                        None => Err(anyhow!("there is no thread ${}", thread.name())),
                    }
                }
                directive => self.directive(directive),
            };
            let verdict = match result {
                Ok(()) => Verdict::Passed,
                Err(error) => Verdict::Failed(error),
            };
            done(Directive {
                line,
                name,
                verdict,
            });
        }
        for thread in threads {
            // Its directives say how it went.
            let _ = thread.join(done);
        }
    }

    /// Starts a thread: a script of its own, which has no more of this one than the shared memories of one module.
    fn thread<'scope, 'env>(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        text: &'scope str,
        thread: WastThread<'scope>,
    ) -> Result<Running<'scope>> {
        let shared = match thread.shared_module {
            None => None,
            Some(id) => {
                let Made::Module(instance) = self.instances.get(Some(id), "instance")?.clone()
                else {
                    bail!("a component has no shared memory");
                };
                Some((id, self.modules()?.shared(&instance)))
            }
        };
        let (settings, strategy) = (self.settings, self.strategy);
        let core = self.core()?;
        let name = thread.name.name().to_owned();
        let handle = std::thread::Builder::new().spawn_scoped(scope, move || {
            let mut directives = Vec::new();
            let begun = Self::new(strategy, settings).and_then(|mut script| {
                script.core = Some(core);
                if let Some((id, memories)) = shared {
                    let instance = script.modules()?.adopt(&memories)?;
                    script.instances.add(Some(id), Made::Module(instance));
                }
                Ok(script)
            });
            match begun {
                Ok(mut script) => script.directives(scope, text, thread.directives, &mut |one| {
                    directives.push(one);
                }),
                Err(error) => directives.push(Directive {
                    line: thread.span.linecol_in(text).0 + 1,
                    name: "thread",
                    verdict: Verdict::Failed(error),
                }),
            }
            directives
        })?;
        Ok(Running { name, handle })
    }

    fn core(&mut self) -> Result<tidegate_engine::Engine> {
        if let Some(core) = &self.core {
            return Ok(core.clone());
        }
        let core = modules::engine(self.engine.kind())?;
        Ok(self.core.insert(core).clone())
    }

    fn modules(&mut self) -> Result<&mut Modules> {
        if self.modules.is_none() {
            self.modules = Some(Modules::new(self.core()?)?);
        }
        self.modules.as_mut().context("no isolate was made")
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Result<()> {
        match directive {
            WastDirective::Module(mut wat) => {
                let id = wat.name();
                // If this fails, what follows is not meant for the one before.
                self.instances.newest = None;
                let definition = self.compile(&mut wat)?;
                let instance = self.instantiate(&definition)?;
                self.instances.add(id, instance);
            }
            WastDirective::ModuleDefinition(mut wat) => {
                let id = wat.name();
                let definition = self.compile(&mut wat)?;
                self.definitions.add(id, definition);
            }
            WastDirective::ModuleInstance {
                instance, module, ..
            } => {
                let definition = self.definitions.get(module, "definition")?.clone();
                let made = self.instantiate(&definition)?;
                self.instances.add(instance, made);
            }
            WastDirective::Register { name, module, .. } => {
                match self.instances.get(module, "instance")?.clone() {
                    Made::Module(instance) => self.modules()?.register(name, instance),
                    Made::Component(_) => bail!("a component cannot be imported by its name"),
                }
            }
            WastDirective::Invoke(invoke) => {
                self.invoke(&invoke)?;
            }
            WastDirective::AssertReturn { exec, results, .. } => match self.execute(exec)? {
                Values::Component(found) => compare(&found, &results)?,
                Values::Module(found) => core_values::compare(&found, &results)?,
            },
            WastDirective::AssertTrap { exec, message, .. } => {
                let result = self
                    .execute(exec)
                    .map(|values| format!("it returned {values:?}"));
                self.refused(result, Some(message))?;
            }
            WastDirective::AssertException { exec, .. } => {
                let result = self
                    .execute(exec)
                    .map(|values| format!("it returned {values:?}"));
                let error = match result {
                    Ok(what) => bail!("{what}, expected an exception"),
                    Err(error) => error,
                };
                let code = error.downcast_ref::<Trap>().map(|trap| trap.code);
                ensure!(
                    code == Some(TrapCode::UncaughtException),
                    "expected an exception\nfound: {error:#}"
                );
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                let result = self
                    .invoke(&call)
                    .map(|values| format!("it returned {values:?}"));
                self.refused(result, Some(message))?;
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
                    let (result, message) = match is_component(&module) {
                        true => (
                            Component::new(&self.engine, &bytes).map(drop),
                            Some(message),
                        ),
                        false => (self.modules()?.compile(&bytes).map(drop), None),
                    };
                    self.refused(result.map(|()| "it was accepted".into()), message)?;
                }
            }
            WastDirective::AssertUnlinkable {
                module, message, ..
            } => {
                let definition = self.compile(&mut QuoteWat::Wat(module))?;
                let result = self
                    .instantiate(&definition)
                    .map(|_| "it was instantiated".into());
                let message = matches!(definition, Definition::Component(_)).then_some(message);
                self.refused(result, message)?;
            }
            other => bail!("`{}` is not supported", keyword(&other)),
        }
        Ok(())
    }

    fn compile(&mut self, wat: &mut QuoteWat<'_>) -> Result<Definition> {
        let bytes = wat.encode()?;
        Ok(match is_component(wat) {
            true => Definition::Component(Component::new(&self.engine, bytes)?),
            false => Definition::Module(self.modules()?.compile(&bytes)?),
        })
    }

    fn instantiate(&mut self, definition: &Definition) -> Result<Made> {
        Ok(match definition {
            Definition::Component(component) => {
                Made::Component(self.linker.instantiate(&mut self.store, component)?)
            }
            Definition::Module(module) => Made::Module(self.modules()?.instantiate(module)?),
        })
    }

    fn execute(&mut self, execute: WastExecute<'_>) -> Result<Values> {
        match execute {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(wat) => {
                let definition = self.compile(&mut QuoteWat::Wat(wat))?;
                self.instantiate(&definition)?;
                Ok(Values::Module(Vec::new()))
            }
            WastExecute::Get { module, global, .. } => {
                match self.instances.get(module, "instance")?.clone() {
                    Made::Module(instance) => {
                        let value = self.modules()?.global(&instance, global)?;
                        Ok(Values::Module(vec![value]))
                    }
                    Made::Component(_) => bail!("a component has no globals"),
                }
            }
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Values> {
        let instance = match self.instances.get(invoke.module, "instance")?.clone() {
            Made::Component(instance) => instance,
            Made::Module(instance) => {
                let modules = self.modules()?;
                let values = modules.call(&instance, invoke.name, &invoke.args)?;
                return Ok(Values::Module(values));
            }
        };
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
        Ok(Values::Component(results))
    }

    /// Checks that something was refused, with the message that the script gives. There is none for a core module that is not valid or cannot be
    /// linked: scripts of the core specification have the words of one interpreter for that.
    fn refused(&self, result: Result<String>, message: Option<&str>) -> Result<()> {
        let error = match result {
            Ok(what) => bail!("{what}, expected: {}", message.unwrap_or("an error")),
            Err(error) => error,
        };
        let Some(message) = message else {
            return Ok(());
        };
        // Some scripts begin with what one engine puts before every trap.
        let message = message.strip_prefix("wasm trap: ").unwrap_or(message);
        let said = format!("{error:#}");
        // Some say more than there is to be known: which element it was.
        let code = error.downcast_ref::<Trap>().map(|trap| trap.code.message());
        let begins = code.is_some_and(|code| message.starts_with(code));
        ensure!(
            !self.settings.compare_messages || begins || said.contains(message),
            "expected: {message}\nfound: {said}"
        );
        Ok(())
    }
}

impl Running<'_> {
    /// Waits for its end and hands over its directives' verdicts.
    fn join(self, done: &mut dyn FnMut(Directive)) -> Result<()> {
        match self.handle.join() {
            Ok(directives) => {
                directives.into_iter().for_each(done);
                Ok(())
            }
            Err(_) => bail!("the thread panicked"),
        }
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
        WastDirective::Module(wat) if is_component(wat) => "component",
        WastDirective::Module(_) => "module",
        WastDirective::ModuleDefinition(wat) if is_component(wat) => "component definition",
        WastDirective::ModuleDefinition(_) => "module definition",
        WastDirective::ModuleInstance { .. } => "instance",
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
