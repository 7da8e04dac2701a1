//! Where calls are checked: so that none can come round again and again without a check.
//!
//! Calls make a graph, whose nodes are the functions that a module defines, and the types that functions are called by through tables. A search in depth comes
//! back to at least one node of each circle: that is checked, a function at its beginning and a type where it is called by.
//!
//! Circles that lead through other modules have a call through a table in them, or through the host, since functions can only be imported from instances that
//! were there before. The host looks at the word itself when it calls. If others may have functions in a module's tables, or the module its own in theirs, all calls
//! through tables are checked.
//!
//! What is left has no circles, but may take long all the same: thirty functions that each call the next one twice make a thousand million calls. So
//! those that weigh too much, with all that they call, are checked as well.

use std::collections::{HashMap, HashSet};

use wasmparser::{
    ElementItems, ExternalKind, FuncType, FunctionBody, GlobalType, Operator, Parser, Payload,
    RefType, TypeRef, ValType,
};

use super::loops::{self, Loop, Weights};
use crate::rewrite::Shape;

type Result<T> = std::result::Result<T, wasmparser::BinaryReaderError>;

/// What is known of a module before it is rewritten.
pub(super) struct Facts<'a> {
    pub(super) shape: Shape<'a>,
    /// The loops of the functions that are defined.
    pub(super) loops: Vec<Vec<Loop>>,
    /// Of the functions that are defined, those that are checked at their beginning.
    pub(super) checked_functions: Vec<bool>,
    /// Types that calls through tables are checked of.
    pub(super) checked_types: Vec<bool>,
}

/// Finds out about a valid module.
pub(super) fn facts(bytes: &[u8]) -> Result<Facts<'_>> {
    let shape = Shape::of(bytes)?;
    let calls = Calls::of(bytes, &shape)?;
    let graph = calls.graph(&shape);
    let mut checked = vec![false; graph.edges.len()];
    if calls.is_open {
        checked[shape.bodies.len()..].fill(true);
    }
    graph.cut(&mut checked);
    let loops = weigh(&shape, &calls, &graph, &mut checked)?;
    let (functions, types) = checked.split_at(shape.bodies.len());
    Ok(Facts {
        loops,
        checked_functions: functions.to_vec(),
        checked_types: calls.types.iter().map(|ty| types[*ty as usize]).collect(),
        shape,
    })
}

/// What code may weigh that is called without a check.
const MAX_WEIGHT: u64 = 256 << 10;

/// Has functions checked that weigh too much, and gives the loops of all.
fn weigh(
    shape: &Shape<'_>,
    calls: &Calls,
    graph: &Graph,
    checked: &mut [bool],
) -> Result<Vec<Vec<Loop>>> {
    let mut loops = vec![Vec::new(); shape.bodies.len()];
    let mut weights = Weighed {
        imported: shape.imported_functions,
        types: &calls.types,
        functions: shape.bodies.len(),
        weights: vec![0; graph.edges.len()],
    };
    for node in graph.callees_first(checked) {
        let weight = match shape.bodies.get(node) {
            Some(body) => {
                let (found, weight) = loops::find(&loops::instructions(body)?, &weights);
                loops[node] = found;
                weight
            }
            None => {
                let callees = graph.edges[node].iter();
                callees
                    .map(|node| weights.weights[*node])
                    .max()
                    .unwrap_or(0)
            }
        };
        if weight > MAX_WEIGHT {
            checked[node] = true;
        }
        // Whoever calls what is checked has been checked then.
        weights.weights[node] = if checked[node] { 0 } else { weight };
    }
    Ok(loops)
}

/// What nodes weigh.
struct Weighed<'a> {
    imported: u32,
    types: &'a [u32],
    functions: usize,
    weights: Vec<u64>,
}

impl Weights for Weighed<'_> {
    fn called(&self, operator: &Operator<'_>) -> u64 {
        match operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                match function_index.checked_sub(self.imported) {
                    Some(defined) => self.weights[defined as usize],
                    None => 0,
                }
            }
            Operator::CallIndirect { type_index, .. }
            | Operator::ReturnCallIndirect { type_index, .. } => {
                self.weights[self.functions + self.types[*type_index as usize] as usize]
            }
            _ => 0,
        }
    }
}

/// What a module says of calls.
#[derive(Default)]
struct Calls {
    /// For each type a number that equal ones have in common.
    types: Vec<u32>,
    numbers: HashMap<FuncType, u32>,
    /// Functions that a table may hold.
    taken: HashSet<u32>,
    /// Of each function that is defined.
    bodies: Vec<Called>,
    /// Whether functions of others may come into its tables, and its own into those of others.
    is_open: bool,
}

#[derive(Default)]
struct Called {
    functions: HashSet<u32>,
    types: HashSet<u32>,
}

impl Calls {
    fn of(bytes: &[u8], shape: &Shape<'_>) -> Result<Self> {
        let mut calls = Self::default();
        for ty in &shape.types {
            calls.add_type(ty);
        }
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Global(ty) => calls.add_global(ty),
                            TypeRef::Table(_) => calls.is_open = true,
                            _ => {}
                        }
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        let global = global?;
                        calls.add_global(global.ty);
                        calls.add_references(global.init_expr.get_operators_reader())?;
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        if let wasmparser::TableInit::Expr(init) = table?.init {
                            calls.add_references(init.get_operators_reader())?;
                        }
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        calls.is_open |= export?.kind == ExternalKind::Table;
                    }
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        calls.add_element(element?.items)?;
                    }
                }
                _ => {}
            }
        }
        for body in &shape.bodies {
            calls.add_body(body)?;
        }
        Ok(calls)
    }

    fn add_type(&mut self, ty: &FuncType) {
        let mut types = ty.params().iter().chain(ty.results());
        self.is_open |= types.any(|ty| holds_functions(*ty));
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.types
            .push(*self.numbers.entry(ty.clone()).or_insert(next));
    }

    fn add_element(&mut self, items: ElementItems<'_>) -> Result<()> {
        match items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    self.taken.insert(function?);
                }
            }
            ElementItems::Expressions(_, items) => {
                for item in items {
                    self.add_references(item?.get_operators_reader())?;
                }
            }
        }
        Ok(())
    }

    /// One that others may see: which are exported is not worth asking.
    fn add_global(&mut self, ty: GlobalType) {
        self.is_open |= holds_functions(ty.content_type);
    }

    fn add_references(&mut self, code: wasmparser::OperatorsReader<'_>) -> Result<()> {
        for operator in code {
            if let Operator::RefFunc { function_index } = operator? {
                self.taken.insert(function_index);
            }
        }
        Ok(())
    }

    fn add_body(&mut self, body: &FunctionBody<'_>) -> Result<()> {
        let mut called = Called::default();
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    called.functions.insert(function_index);
                }
                Operator::CallIndirect { type_index, .. }
                | Operator::ReturnCallIndirect { type_index, .. } => {
                    called.types.insert(self.types[type_index as usize]);
                }
                Operator::RefFunc { function_index } => {
                    self.taken.insert(function_index);
                }
                _ => {}
            }
        }
        self.bodies.push(called);
        Ok(())
    }

    fn graph(&self, shape: &Shape<'_>) -> Graph {
        let functions = self.bodies.len();
        let imported = shape.imported_functions;
        let defined = |index: &u32| index.checked_sub(imported).map(|index| index as usize);
        let ty = |number: u32| functions + number as usize;
        let mut edges = vec![Vec::new(); functions + self.numbers.len()];
        for (from, called) in self.bodies.iter().enumerate() {
            edges[from].extend(called.functions.iter().filter_map(defined));
            edges[from].extend(called.types.iter().map(|number| ty(*number)));
        }
        for index in &self.taken {
            let number = self.types[shape.functions[*index as usize] as usize];
            edges[ty(number)].extend(defined(index));
        }
        // Sets have no order that is the same in each run, and artifacts are to be the same.
        for edges in &mut edges {
            edges.sort_unstable();
        }
        Graph { edges }
    }
}

/// Whether a value of this type may be a function.
fn holds_functions(ty: ValType) -> bool {
    match ty {
        ValType::Ref(ty) => ty != RefType::EXTERNREF && ty != RefType::EXNREF,
        _ => false,
    }
}

struct Graph {
    /// Where they lead to from each node: functions first, then types.
    edges: Vec<Vec<usize>>,
}

impl Graph {
    /// Adds those that a search in depth comes back to.
    fn cut(&self, checked: &mut [bool]) {
        self.search(checked, |checked, node| checked[node] = true);
    }

    /// All nodes, each after those that it leads to, but for those that are checked. There are no other circles.
    fn callees_first(&self, checked: &[bool]) -> Vec<usize> {
        let mut checked = checked.to_vec();
        self.search(&mut checked, |_, _| {})
    }

    /// Searches in depth from each node, but not through those that are checked. Tells which nodes it comes back to while it is in what they lead to, and
    /// gives all in the order in which it is done with them.
    fn search(
        &self,
        checked: &mut [bool],
        mut comes_back: impl FnMut(&mut [bool], usize),
    ) -> Vec<usize> {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            No,
            Within,
            Done,
        }
        let mut seen = vec![Seen::No; self.edges.len()];
        let mut done = Vec::with_capacity(self.edges.len());
        for root in 0..self.edges.len() {
            if seen[root] != Seen::No {
                continue;
            }
            seen[root] = Seen::Within;
            let mut path = vec![(root, self.edges[root].iter())];
            while let Some((node, edges)) = path.last_mut() {
                let Some(next) = edges.next() else {
                    seen[*node] = Seen::Done;
                    done.push(*node);
                    path.pop();
                    continue;
                };
                match seen[*next] {
                    _ if checked[*next] => {}
                    Seen::No => {
                        seen[*next] = Seen::Within;
                        path.push((*next, self.edges[*next].iter()));
                    }
                    Seen::Within => comes_back(checked, *next),
                    Seen::Done => {}
                }
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The functions and types that are checked.
    fn checked(text: &str) -> (Vec<usize>, Vec<usize>) {
        let bytes = wat::parse_str(text).unwrap();
        let facts = facts(&bytes).unwrap();
        let numbers = |checked: &[bool]| {
            let all = checked.iter().enumerate();
            all.filter_map(|(number, checked)| checked.then_some(number))
                .collect()
        };
        (
            numbers(&facts.checked_functions),
            numbers(&facts.checked_types),
        )
    }

    #[test]
    fn calls_that_cannot_come_round_are_not_checked() {
        let text = r#"(module
            (import "a" "a" (func $a))
            (table funcref (elem $f $a))
            (func $f (call $g))
            (func $g (call $h))
            (func $h)
            (func $i (call_indirect (i32.const 0))))"#;
        assert_eq!(checked(text), (vec![], vec![]));
    }

    #[test]
    fn a_function_of_each_circle_is_checked() {
        let text = "(module
            (func $f (call $g) (call $f2))
            (func $g (call $h))
            (func $h (return_call $f))
            (func $f2 (call $f2)))";
        assert_eq!(checked(text), (vec![0, 3], vec![]));
    }

    #[test]
    fn circles_through_tables_are_found_by_equal_types() {
        let text = "(module
            (type $a (func (param i32)))
            (type $b (func (param i32)))
            (type $c (func (param i64)))
            (table funcref (elem $f))
            (func $f (type $a) (call $g))
            (func $g (call_indirect (type $b) (i32.const 0) (i32.const 0)))
            (func $h (call_indirect (type $c) (i64.const 0) (i32.const 0))))";
        assert_eq!(checked(text), (vec![0], vec![]));
        let text = "(module
            (type $a (func))
            (table funcref (elem $f))
            (func (call_indirect (i32.const 0)))
            (func $f (call_indirect (i32.const 0))))";
        assert_eq!(checked(text), (vec![], vec![0]));
    }

    #[test]
    fn calls_through_tables_that_others_have_are_checked() {
        let text = r#"(module
            (import "a" "a" (func $a))
            (table (export "t") funcref (elem $f $g))
            (func $f (export "f") (call_indirect (i32.const 0)))
            (func $g (param i32) (call $a)))"#;
        assert_eq!(checked(text), (vec![], vec![0, 1]));
    }

    #[test]
    fn calls_that_take_long_without_coming_round_are_checked() {
        let mut text = String::from("(module");
        for number in 0..40 {
            text += &format!("(func (call {0}) (call {0}))", number + 1);
        }
        text += "(func))";
        let (functions, _) = checked(&text);
        assert!((1..10).contains(&functions.len()), "{functions:?}");
    }
}
