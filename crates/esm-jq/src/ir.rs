//! A program in the form that the machine runs.

use esm_core::transform::MaskingKey;
use jaq_core::ops::Cmp;

use crate::natives::{Format, Native};
use crate::value::{Math, Val};

/// A term of a program, by its place in [`Code::nodes`].
pub(crate) type Id = u32;

/// A compiled program.
pub(crate) struct Code {
    pub(crate) nodes: Vec<Node>,
    /// What functions do, by the number that calls name them by.
    pub(crate) bodies: Vec<Id>,
    pub(crate) main: Id,
    /// Whether it makes pseudonyms.
    pub(crate) masks: bool,
}

pub(crate) struct Node {
    pub(crate) op: Op,
    /// It gives exactly one output, or an error.
    pub(crate) single: bool,
    /// Where it is in the text of the program, in bytes; `None` in the prelude.
    pub(crate) at: Option<u32>,
}

/// What a term does. Variables, functions that are arguments, and labels are in frames; a number
/// says how many frames outwards one is.
pub(crate) enum Op {
    Identity,
    Const(Val),
    /// A text with parts that are calculated.
    Interpolated(Format, Vec<Piece>),
    Array(Option<Id>),
    Object(Vec<(Id, Id)>),
    Negate(Id),
    Pipe(Id, Id),
    Comma(Id, Id),
    Bind(Binding, Id),
    Alternative(Id, Id),
    And(Id, Id),
    Or(Id, Id),
    Math(Math, Id, Id),
    Compare(Cmp, Id, Id),
    Assign(Id, Id),
    Update(Id, Id),
    /// `paths op= values`; no operation is `//=`.
    UpdateBy(Id, Option<Math>, Id),
    If(Id, Id, Id),
    Try(Id, Option<Id>),
    Label(Id),
    Break(usize),
    Reduce(Binding, Id, Id),
    Foreach(Binding, Id, Id, Option<Id>),
    Index(Id, Id, bool),
    Slice(Id, Option<Id>, Option<Id>, bool),
    Each(Id, bool),
    Var(usize),
    Argument(usize),
    Call(Call),
    Native(&'static Native, Vec<Id>),
    Pseudonym(MaskingKey),
    Control(Control, Vec<Id>),
}

pub(crate) enum Piece {
    Text(String),
    Term(Id),
}

/// Values that become variables: a frame for each variable of all the patterns.
pub(crate) struct Binding {
    pub(crate) source: Id,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) variables: usize,
}

pub(crate) enum Pattern {
    /// The variable of this number.
    Var(usize),
    Array(Vec<Pattern>),
    Object(Vec<(Id, Pattern)>),
}

pub(crate) struct Call {
    /// Of [`Code::bodies`].
    pub(crate) function: usize,
    /// How many frames outwards the function was defined.
    pub(crate) outwards: usize,
    pub(crate) arguments: Vec<Id>,
    pub(crate) recursive: bool,
}

/// Functions that do more with their arguments than to take their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Empty,
    Path,
    GetPath,
    Recurse,
    RecurseBy,
    Range,
    First,
    Last,
    Limit,
    Skip,
    Until,
    While,
    Repeat,
    Any,
    All,
    IsEmpty,
    Add,
    Sub,
}

/// Their names, and how many arguments they take.
pub(crate) const CONTROLS: [(&str, usize, Control); 18] = [
    ("empty", 0, Control::Empty),
    ("path", 1, Control::Path),
    ("getpath", 1, Control::GetPath),
    ("recurse", 0, Control::Recurse),
    ("recurse", 1, Control::RecurseBy),
    ("range", 3, Control::Range),
    ("first", 1, Control::First),
    ("last", 1, Control::Last),
    ("limit", 2, Control::Limit),
    ("skip", 2, Control::Skip),
    ("until", 2, Control::Until),
    ("while", 2, Control::While),
    ("repeat", 1, Control::Repeat),
    ("any", 2, Control::Any),
    ("all", 2, Control::All),
    ("isempty", 1, Control::IsEmpty),
    ("add", 1, Control::Add),
    ("sub", 3, Control::Sub),
];
