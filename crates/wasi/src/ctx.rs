//! What a guest was granted.

use std::path::Path;

use crate::clocks::{HostMonotonicClock, HostWallClock, MonotonicClock, TimeZone, Utc, WallClock};
use crate::fs::{Access, Preopen};
use crate::io::{
    self, DiscardOutput, Drains, EmptyInput, Input, Output, SharedInput, SharedOutput,
};
use crate::net::Policy;
use crate::random::{HostRandom, Random, SeededRandom, random_number};

/// Everything a guest was granted: arguments, environment, standard streams, directories, network,
/// clocks and randomness.
pub struct WasiCtx {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) initial_cwd: Option<String>,
    pub(crate) stdin: SharedInput,
    pub(crate) stdout: SharedOutput,
    pub(crate) stderr: SharedOutput,
    pub(crate) drains: Drains,
    pub(crate) preopens: Vec<Preopen>,
    pub(crate) network: Policy,
    pub(crate) output_ceiling: u64,
    pub(crate) monotonic_clock: Box<dyn MonotonicClock>,
    pub(crate) wall_clock: Box<dyn WallClock>,
    pub(crate) time_zone: Box<dyn TimeZone>,
    pub(crate) random: Box<dyn Random>,
    pub(crate) insecure_random: Box<dyn Random>,
    /// Drawn when it is first asked for.
    insecure_seed: Option<(u64, u64)>,
}

impl WasiCtx {
    /// Starts with nothing granted.
    pub fn builder() -> WasiCtxBuilder {
        WasiCtxBuilder::new()
    }

    /// The arguments; the first is the program's name by convention.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// The environment variables, name and value.
    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// The standard input. Clones read from the same place.
    pub fn stdin(&self) -> SharedInput {
        self.stdin.clone()
    }

    /// The standard output. Clones write to the same place.
    pub fn stdout(&self) -> SharedOutput {
        self.stdout.clone()
    }

    /// The standard error output. Clones write to the same place.
    pub fn stderr(&self) -> SharedOutput {
        self.stderr.clone()
    }

    /// What this guest wrote and its sinks have not taken yet. Take it before the run and wait for
    /// [`Drains::finished`] after it, however it ended: then no output is lost.
    pub fn drains(&self) -> Drains {
        self.drains.clone()
    }

    /// The directories the guest has from its start.
    pub fn preopens(&self) -> &[Preopen] {
        &self.preopens
    }

    /// What the guest may do with the network.
    pub fn network(&self) -> &Policy {
        &self.network
    }

    /// The most one output stream accepts at once, and so keeps in host memory, in bytes.
    pub fn output_ceiling(&self) -> u64 {
        self.output_ceiling
    }

    /// The clock that only moves forwards.
    pub fn monotonic_clock(&self) -> &dyn MonotonicClock {
        &*self.monotonic_clock
    }

    /// The time of day.
    pub fn wall_clock(&self) -> &dyn WallClock {
        &*self.wall_clock
    }

    /// The cryptographically secure source of randomness.
    pub fn random(&mut self) -> &mut dyn Random {
        &mut *self.random
    }

    /// The source of randomness that promises nothing.
    pub fn insecure_random(&mut self) -> &mut dyn Random {
        &mut *self.insecure_random
    }

    /// The seed for the guest's own hash tables: the same whenever it is asked for.
    pub(crate) fn insecure_seed(&mut self) -> std::io::Result<(u64, u64)> {
        if let Some(seed) = self.insecure_seed {
            return Ok(seed);
        }
        let source = &mut *self.insecure_random;
        let seed = (random_number(source)?, random_number(source)?);
        self.insecure_seed = Some(seed);
        Ok(seed)
    }
}

/// Collects what a guest is granted. See [`WasiCtx::builder`].
pub struct WasiCtxBuilder {
    ctx: WasiCtx,
}

impl Default for WasiCtxBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl WasiCtxBuilder {
    /// Nothing granted yet; the host's clocks and randomness.
    pub fn new() -> Self {
        let drains = Drains::default();
        let discard = || SharedOutput::new(DiscardOutput).counted_by(&drains);
        Self {
            ctx: WasiCtx {
                args: Vec::new(),
                env: Vec::new(),
                initial_cwd: None,
                stdin: SharedInput::new(EmptyInput),
                stdout: discard(),
                stderr: discard(),
                drains,
                preopens: Vec::new(),
                network: Policy::nothing(),
                output_ceiling: io::WINDOW_CEILING,
                monotonic_clock: Box::new(HostMonotonicClock::default()),
                wall_clock: Box::new(HostWallClock),
                time_zone: Box::new(Utc),
                random: Box::new(HostRandom),
                insecure_random: Box::new(SeededRandom::from_host()),
                insecure_seed: None,
            },
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.ctx.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.ctx.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable; the last setting of a name counts.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.ctx.env.retain(|(other, _)| *other != name);
        self.ctx.env.push((name, value.into()));
        self
    }

    /// Sets the directory, in the guest's names, that the guest takes relative paths from.
    pub fn initial_cwd(mut self, path: impl Into<String>) -> Self {
        self.ctx.initial_cwd = Some(path.into());
        self
    }

    /// Replaces the standard input.
    pub fn stdin(mut self, input: impl Input) -> Self {
        self.ctx.stdin = SharedInput::new(input);
        self
    }

    /// Replaces the standard output.
    pub fn stdout(mut self, output: impl Output) -> Self {
        self.ctx.stdout = SharedOutput::new(output).counted_by(&self.ctx.drains);
        self
    }

    /// Replaces the standard error output.
    pub fn stderr(mut self, output: impl Output) -> Self {
        self.ctx.stderr = SharedOutput::new(output).counted_by(&self.ctx.drains);
        self
    }

    /// Gives the guest the standard input of this process.
    pub fn inherit_stdin(self) -> Self {
        self.stdin(io::stdin())
    }

    /// Gives the guest the standard output of this process.
    pub fn inherit_stdout(self) -> Self {
        self.stdout(io::stdout())
    }

    /// Gives the guest the standard error output of this process.
    pub fn inherit_stderr(self) -> Self {
        self.stderr(io::stderr())
    }

    /// Gives the guest all three standard streams of this process.
    pub fn inherit_stdio(self) -> Self {
        self.inherit_stdin().inherit_stdout().inherit_stderr()
    }

    /// Gives the guest the environment of this process, except variables that are not Unicode.
    pub fn inherit_env(self) -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .fold(self, |builder, (name, value)| builder.env(name, value))
    }

    /// Grants the host's directory `path` under the guest's name `name`.
    ///
    /// # Errors
    /// When `path` cannot be opened, or is no directory.
    pub fn preopened_dir(
        self,
        path: impl AsRef<Path>,
        name: impl Into<String>,
        access: Access,
    ) -> std::io::Result<Self> {
        Preopen::open(path, name, access).map(|preopen| self.preopen(preopen))
    }

    /// Grants a directory that is open already.
    pub fn preopen(mut self, preopen: Preopen) -> Self {
        self.ctx.preopens.push(preopen);
        self
    }

    /// Says what the guest may do with the network; the last call counts.
    pub fn network(mut self, policy: Policy) -> Self {
        self.ctx.network = policy;
        self
    }

    /// Lets the guest do with the network whatever this process may do.
    pub fn inherit_network(self) -> Self {
        self.network(Policy::everything())
    }

    /// Sets the most one output stream accepts at once, and so keeps in host memory, in bytes. The
    /// default is 256 KiB.
    pub fn output_ceiling(mut self, bytes: u64) -> Self {
        self.ctx.output_ceiling = bytes;
        self
    }

    /// Replaces the clock that only moves forwards.
    pub fn monotonic_clock(mut self, clock: impl MonotonicClock) -> Self {
        self.ctx.monotonic_clock = Box::new(clock);
        self
    }

    /// Replaces the time of day.
    pub fn wall_clock(mut self, clock: impl WallClock) -> Self {
        self.ctx.wall_clock = Box::new(clock);
        self
    }

    /// Tells the guest its time zone, such as a [`Zone`](crate::clocks::Zone); without, it is Coordinated Universal Time,
    /// wherever the host is. Programs for WASI 0.1 cannot ask for it; those for 0.2 and 0.3 do so through
    /// `wasi:clocks/timezone`.
    pub fn time_zone(mut self, zone: impl TimeZone) -> Self {
        self.ctx.time_zone = Box::new(zone);
        self
    }

    /// Replaces the cryptographically secure source of randomness.
    pub fn random(mut self, random: impl Random) -> Self {
        self.ctx.random = Box::new(random);
        self
    }

    /// Replaces the source of randomness that promises nothing.
    pub fn insecure_random(mut self, random: impl Random) -> Self {
        self.ctx.insecure_random = Box::new(random);
        self
    }

    /// The finished context.
    pub fn build(self) -> WasiCtx {
        self.ctx
    }
}
