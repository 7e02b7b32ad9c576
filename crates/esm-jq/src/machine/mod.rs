//! Runs programs.
//!
//! A term hands its outputs to a function, one by one, as it makes them. So nothing is kept that is
//! not asked for, and a path is known exactly where a value was reached by one. A term that surely
//! gives one output ([`Node::single`](crate::ir::Node)) returns it instead, which is faster and keeps
//! tail calls from taking stack.

mod assign;
mod bind;
mod control;
mod eval;
mod one;
mod path;
mod sub;

use std::cell::Cell;
use std::mem;
use std::rc::Rc;

use crate::budget::Budget;
use crate::fail::Exit;
use crate::ir::{Code, Id, Node};
use crate::value::{Val, forget_depth};

pub(crate) use path::Path;

/// How a term ended.
pub(crate) type Flow = Result<(), Exit>;

/// What takes the outputs of a term.
pub(crate) type Out<'o> = dyn FnMut(Item) -> Flow + 'o;

/// A value, and how it was reached if that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) value: Val,
    pub(crate) path: Path,
}

impl Item {
    pub(crate) fn plain(value: Val) -> Self {
        Self {
            value,
            path: Path::Ignored,
        }
    }

    /// A value that was made, not reached.
    fn made(value: Val, asked: bool) -> Self {
        let path = if asked { Path::None } else { Path::Ignored };
        Self { value, path }
    }
}

/// Runs a program on one value.
pub(crate) struct Machine<'p> {
    code: &'p Code,
    pub(crate) budget: &'p Budget,
    labels: Cell<u64>,
}

impl<'p> Machine<'p> {
    pub(crate) fn new(code: &'p Code, budget: &'p Budget) -> Self {
        Self {
            code,
            budget,
            labels: Cell::new(0),
        }
    }

    /// Hands over all outputs of the program.
    pub(crate) fn run(&self, input: Val, out: &mut dyn FnMut(Val) -> Flow) -> Flow {
        // what another run left behind is none of this one's business
        forget_depth();
        let env = Env::default();
        self.eval(self.code.main, env, Item::plain(input), &mut |item| {
            out(item.value)
        })
    }

    fn node(&self, id: Id) -> &'p Node {
        &self.code.nodes[id as usize]
    }

    /// The number of a label that no other has.
    fn label(&self) -> u64 {
        self.labels.set(self.labels.get() + 1);
        self.labels.get()
    }
}

/// What variables, functions that are arguments, and labels mean.
#[derive(Clone, Default)]
struct Env(Option<Rc<Frame>>);

struct Frame {
    bound: Bound,
    outer: Env,
}

enum Bound {
    Value(Val),
    Closure(Id, Env),
    Label(u64),
}

impl Env {
    fn push(&self, bound: Bound) -> Self {
        Self(Some(Rc::new(Frame {
            bound,
            outer: self.clone(),
        })))
    }

    fn outwards(&self, frames: usize) -> &Self {
        let mut env = self;
        for _ in 0..frames {
            match &env.0 {
                Some(frame) => env = &frame.outer,
                None => unreachable!("the compiler counts frames"),
            }
        }
        env
    }

    fn bound(&self, frames: usize) -> &Bound {
        match &self.outwards(frames).0 {
            Some(frame) => &frame.bound,
            None => unreachable!("the compiler counts frames"),
        }
    }
}

/// Chains of frames may be long: dropping one must not recurse.
impl Drop for Frame {
    fn drop(&mut self) {
        let mut frames: Vec<Rc<Self>> = Vec::new();
        self.take(&mut frames);
        while let Some(frame) = frames.pop() {
            if let Ok(mut frame) = Rc::try_unwrap(frame) {
                frame.take(&mut frames);
            }
        }
    }
}

impl Frame {
    /// Takes out the frames that this one keeps.
    fn take(&mut self, frames: &mut Vec<Rc<Self>>) {
        frames.extend(mem::take(&mut self.outer.0));
        if let Bound::Closure(_, env) = &mut self.bound {
            frames.extend(mem::take(&mut env.0));
        }
    }
}
