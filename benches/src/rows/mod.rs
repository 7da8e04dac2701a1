//! What is measured: a row for each kind of work.

// Before the modules, which use them.
/// The text of a guest in `wat/`.
macro_rules! wat {
    ($name:literal) => {
        include_str!(concat!("../../wat/", $name, ".wat"))
    };
}

/// The same subject on both runtimes, from the same component: text or bytes.
macro_rules! both {
    ($group:expr, $name:expr, $component:expr, $module:ident :: $subject:ident ( $($args:tt)* )) => {
        Plan::new($group, $name, move |which| {
            let component = $component;
            let bytes = wat::parse_bytes(component.as_ref())?;
            match which {
                Which::Ours => ours::$module::$subject(&bytes, $($args)*).map_err(told),
                Which::Peer => peer::$module::$subject(&bytes, $($args)*).map_err(told),
            }
        })
    };
}

mod calls;
mod instances;
mod scale;
mod streams;

use crate::measure::Subject;
use crate::report::Budget;
use crate::{Which, wasi};
use anyhow::Result;
use std::fmt::Display;

/// One kind of work.
pub struct Row {
    /// The heading it stands under.
    pub group: &'static str,
    /// What is done.
    pub name: String,
    /// On Tidegate.
    pub ours: Subject,
    /// On Wasmtime.
    pub peer: Subject,
    /// What no runtime could do better.
    pub limit: Option<Subject>,
    /// The most that it may cost, if there is a budget.
    pub budget: Option<Budget>,
}

/// A row that is made only if it is wanted.
pub struct Plan {
    /// The heading it stands under.
    pub group: &'static str,
    /// What is done.
    pub name: String,
    make: Box<dyn Fn(Which) -> Result<Subject>>,
    limit: Option<Box<dyn Fn() -> Result<Subject>>>,
    /// The most that it may cost.
    pub budget: Option<Budget>,
}

/// Where a row's figures come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Both runtimes are timed in this process, in turns.
    Turns,
    /// Each is timed in a process of its own, as its guests take much of what a process may have.
    Apart,
    /// Each runs once in a process of its own, and gives the figure as its checksum.
    Figure,
}

impl Plan {
    /// A row without a reference line and a budget; `make` makes what is to be measured on one runtime.
    pub fn new(
        group: &'static str,
        name: impl Into<String>,
        make: impl Fn(Which) -> Result<Subject> + 'static,
    ) -> Self {
        Self {
            group,
            name: name.into(),
            make: Box::new(make),
            limit: None,
            budget: None,
        }
    }

    /// With a reference line: what no runtime could do better.
    pub fn limit<E: Display>(mut self, make: impl Fn() -> Result<Subject, E> + 'static) -> Self {
        self.limit = Some(Box::new(move || make().map_err(told)));
        self
    }

    /// With the most that it may cost, if there is such.
    pub fn budget(mut self, budget: impl Into<Option<Budget>>) -> Self {
        self.budget = budget.into();
        self
    }

    /// Makes what is to be measured.
    ///
    /// # Errors
    /// A guest does not compile or link.
    pub fn make(self) -> Result<Row> {
        Ok(Row {
            ours: (self.make)(Which::Ours)?,
            peer: (self.make)(Which::Peer)?,
            limit: self.limit.map(|make| make()).transpose()?,
            group: self.group,
            name: self.name,
            budget: self.budget,
        })
    }

    /// Makes what is to be measured on one runtime.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn make_one(self, which: Which) -> Result<Subject> {
        (self.make)(which)
    }

    /// Where its figures come from.
    pub fn source(&self) -> Source {
        match self.group {
            scale::MEMORY | scale::IDLE => Source::Figure,
            scale::SCALE => Source::Apart,
            _ => Source::Turns,
        }
    }
}

/// An error of either runtime, as one type.
pub fn told(error: impl Display) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

/// So many bytes, for people.
pub fn size(bytes: usize) -> String {
    match bytes {
        bytes if bytes < KIB => format!("{bytes} B"),
        bytes if bytes < MIB => format!("{} KiB", bytes / KIB),
        bytes => format!("{} MiB", bytes / MIB),
    }
}

/// 1,024 bytes.
pub const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// All rows, in the order of the report; those of many guests have `most` at most.
pub fn all(most: usize) -> Vec<Plan> {
    let mut plans = Vec::new();
    calls::add(&mut plans);
    instances::add(&mut plans);
    streams::add(&mut plans);
    plans.extend(wasi::rows::all());
    scale::add(&mut plans, most);
    plans
}
