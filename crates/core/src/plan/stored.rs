//! Plans as bytes.

use super::{
    Canon, ComponentInstance, CoreDef, CoreFuncType, CoreInstanceIdx, Export, FuncDef, Import,
    ImportIdx, ImportKind, InstanceIdx, Lift, LiftIdx, ModuleDef, ModuleIdx, Options, OptionsIdx,
    Plan, Resource, Step, StringEncoding, Trampoline, TrampolineIdx,
};
use crate::stored::{Bounds, Damaged, Reader, Stored, Writer, stored_enum, stored_struct};
use crate::types::Types;

/// Of the form of the bytes, and of what plans are: to be raised when either changes within a release.
const FORMAT: u32 = 1;
const RELEASE: &str = env!("CARGO_PKG_VERSION");

impl Plan {
    /// The plan as bytes, for [`from_bytes`](Self::from_bytes); `None` if it has something that they have no form for: imported core modules.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let Self {
            types,
            modules,
            defines_tags,
            instances,
            imports,
            resources,
            trampolines,
            lifts,
            options,
            steps,
            exports,
        } = self;
        let mut to = Writer::default();
        types.write(&mut to);
        modules.write(&mut to);
        defines_tags.write(&mut to);
        instances.write(&mut to);
        imports.write(&mut to);
        resources.write(&mut to);
        options.write(&mut to);
        trampolines.write(&mut to);
        lifts.write(&mut to);
        steps.write(&mut to);
        exports.write(&mut to);
        let bounds = Bounds {
            instances: instances.len() as u32,
            core_instances: core_instances(steps).count() as u32,
            modules: modules.len() as u32,
            imports: imports.len() as u32,
            resources: resources.len() as u32,
            trampolines: trampolines.len() as u32,
            lifts: lifts.len() as u32,
            options: options.len() as u32,
        };
        to.finish(&((FORMAT, Box::<str>::from(RELEASE)), bounds))
    }

    /// The plan that [`to_bytes`](Self::to_bytes) made of a component whose binary has `length` bytes. It is as if it were made of the binary, but
    /// for the time it takes.
    ///
    /// # Errors
    /// The bytes are damaged, or another release made them. Bytes that were damaged and still are a plan are not told from others, but do no harm: all that
    /// they refer to is there.
    pub fn from_bytes(bytes: &[u8], length: usize) -> Result<Plan, Damaged> {
        let mut from = Reader::new(bytes);
        if u32::read(&mut from)? != FORMAT || from.text()? != RELEASE {
            return Err(from.damaged("another release made it"));
        }
        from.begin()?;
        Types::read_into(&mut from)?;
        let from = &mut from;
        let plan = Plan {
            modules: Stored::read(from)?,
            defines_tags: Stored::read(from)?,
            instances: Stored::read(from)?,
            imports: Stored::read(from)?,
            resources: Stored::read(from)?,
            options: Stored::read(from)?,
            trampolines: Stored::read(from)?,
            lifts: Stored::read(from)?,
            steps: Stored::read(from)?,
            exports: Stored::read(from)?,
            types: std::mem::take(&mut from.types),
        };
        from.end()?;
        plan.check(&from.bounds, length)
            .map_err(|what| from.damaged(what))?;
        Ok(plan)
    }

    /// Sees that the lists are as long as indices were told, and that what comes first does not refer to what comes later.
    fn check(&self, bounds: &Bounds, length: usize) -> Result<(), &'static str> {
        let lengths = [
            (self.instances.len(), bounds.instances),
            (core_instances(&self.steps).count(), bounds.core_instances),
            (self.modules.len(), bounds.modules),
            (self.imports.len(), bounds.imports),
            (self.resources.len(), bounds.resources),
            (self.trampolines.len(), bounds.trampolines),
            (self.lifts.len(), bounds.lifts),
            (self.options.len(), bounds.options),
        ];
        if lengths.iter().any(|(len, bound)| *len != *bound as usize) {
            return Err("a list is not as long as it says");
        }
        let lies_within =
            |module: &std::ops::Range<usize>| module.start <= module.end && module.end <= length;
        if !self.modules.iter().all(lies_within) {
            return Err("a module lies outside the binary");
        }
        let mut instances = self.instances.iter().zip(0..);
        let root = instances.next();
        if root.is_none_or(|(root, _)| root.parent.is_some())
            || !instances.all(|(child, index)| {
                child
                    .parent
                    .is_some_and(|InstanceIdx(parent)| parent < index)
            })
        {
            return Err("an instance comes before its parent");
        }
        if self.imports.iter().any(|import| import.path.is_empty()) {
            return Err("an import has no name");
        }
        let mut made = 0;
        for step in &self.steps {
            if let Step::Instantiate { args, .. } = step {
                let is_made = |def: &CoreDef| match def {
                    CoreDef::Export { instance, .. } => instance.0 < made,
                    CoreDef::Trampoline(_) => true,
                };
                if !args.iter().all(|(_, _, def)| is_made(def)) {
                    return Err("an argument comes before its instance");
                }
                made += 1;
            }
        }
        Ok(())
    }
}

fn core_instances(steps: &[Step]) -> impl Iterator<Item = &Step> {
    let makes = |step: &&Step| matches!(step, Step::Instantiate { .. });
    steps.iter().filter(makes)
}

macro_rules! stored_index {
    ($($name:ident $list:ident)*) => {$(
        impl Stored for $name {
            fn write(&self, to: &mut Writer) {
                self.0.write(to);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
                from.index(from.bounds.$list).map(Self)
            }
        }
    )*};
}

stored_index! {
    InstanceIdx instances
    CoreInstanceIdx core_instances
    ModuleIdx modules
    ImportIdx imports
    TrampolineIdx trampolines
    LiftIdx lifts
    OptionsIdx options
}

stored_struct!(ComponentInstance { parent, name });
stored_struct!(Import {
    path,
    implements,
    kind
});
stored_struct!(Lift {
    instance,
    core,
    ty,
    options,
    core_type
});
stored_struct!(Trampoline {
    instance,
    canon,
    core_type
});
stored_struct!(Options {
    encoding,
    memory,
    memory64,
    realloc,
    post_return,
    async_,
    callback,
});
stored_struct!(CoreFuncType { params, results });
stored_enum!(ModuleDef { 0 Static(module), 1 Import(import) });
stored_enum!(FuncDef { 0 Import(import), 1 Lift(lift) });
stored_enum!(CoreDef { 0 Export { instance, name }, 1 Trampoline(trampoline) });
stored_enum!(StringEncoding { 0 Utf8, 1 Utf16, 2 Latin1OrUtf16 });
stored_enum!(Resource { 0 Imported(import), 1 Defined { instance, rep64 } });
stored_enum!(Step {
    0 Instantiate { instance, module, args, starts },
    1 Resource { resource, dtor },
});
stored_enum!(Export {
    0 Func { def, ty },
    1 Module(module),
    2 Resource(resource),
    3 Type(ty),
    4 FuncType(ty),
    5 OpaqueType,
    6 Instance(exports),
    7 Component,
});
stored_enum!(Canon {
    0 Lower { func, ty, options },
    1 ResourceNew(resource),
    2 ResourceDrop(resource),
    3 ResourceRep(resource),
    4 TaskReturn { result, options },
    5 TaskCancel,
    6 ContextGet { ty64, slot },
    7 ContextSet { ty64, slot },
    8 BackpressureInc,
    9 BackpressureDec,
    10 SubtaskCancel { async_ },
    11 SubtaskDrop,
    12 StreamNew(ty),
    13 StreamRead { ty, options },
    14 StreamWrite { ty, options },
    15 StreamCancelRead { ty, async_ },
    16 StreamCancelWrite { ty, async_ },
    17 StreamDropReadable(ty),
    18 StreamDropWritable(ty),
    19 FutureNew(ty),
    20 FutureRead { ty, options },
    21 FutureWrite { ty, options },
    22 FutureCancelRead { ty, async_ },
    23 FutureCancelWrite { ty, async_ },
    24 FutureDropReadable(ty),
    25 FutureDropWritable(ty),
    26 ErrorContextNew { options },
    27 ErrorContextDebugMessage { options },
    28 ErrorContextDrop,
    29 WaitableSetNew,
    30 WaitableSetWait { cancellable, memory, memory64 },
    31 WaitableSetPoll { cancellable, memory, memory64 },
    32 WaitableSetDrop,
    33 WaitableJoin,
    34 ThreadIndex,
    35 ThreadNewIndirect { table, table64, ty64 },
    36 ThreadResumeLater,
    37 ThreadSuspend { cancellable },
    38 ThreadYield { cancellable },
    39 ThreadSuspendThenResume { cancellable },
    40 ThreadYieldThenResume { cancellable },
    41 ThreadSuspendThenPromote { cancellable },
    42 ThreadYieldThenPromote { cancellable },
});

impl Stored for ImportKind {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Func(ty) => {
                to.byte(0);
                ty.write(to);
            }
            Self::Resource(resource) => {
                to.byte(1);
                resource.write(to);
            }
            Self::EmptyInstance => to.byte(2),
            Self::Module(_) => to.unknown = true,
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(match from.byte()? {
            0 => Self::Func(Stored::read(from)?),
            1 => Self::Resource(Stored::read(from)?),
            2 => Self::EmptyInstance,
            _ => return Err(from.damaged("no import has this number")),
        })
    }
}

/// The core types that the Canonical ABI has.
const CORE_TYPES: [wasmparser::ValType; 4] = [
    wasmparser::ValType::I32,
    wasmparser::ValType::I64,
    wasmparser::ValType::F32,
    wasmparser::ValType::F64,
];

impl Stored for wasmparser::ValType {
    fn write(&self, to: &mut Writer) {
        match CORE_TYPES.iter().position(|ty| ty == self) {
            Some(place) => to.byte(place as u8),
            None => to.unknown = true,
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let place = usize::from(from.byte()?);
        let ty = CORE_TYPES.get(place).copied();
        ty.ok_or_else(|| from.damaged("no core type has this number"))
    }
}
