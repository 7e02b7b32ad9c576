//! What names mean at a place of a program.

/// What names mean at a place, innermost last.
#[derive(Default)]
pub(super) struct Scope<'s> {
    pub(super) names: Vec<Name<'s>>,
    /// How many of them have a frame.
    pub(super) frames: usize,
}

pub(super) enum Name<'s> {
    Variable(&'s str),
    Argument(&'s str),
    Label(&'s str),
    /// Name, number of arguments, its number, and how many frames there are where it is defined.
    Function(&'s str, usize, usize, usize),
}

/// What a call means.
pub(super) enum Meaning {
    Argument(usize),
    Function(usize, usize),
}

impl<'s> Scope<'s> {
    pub(super) fn push(&mut self, name: Name<'s>) {
        self.frames += usize::from(!matches!(name, Name::Function(..)));
        self.names.push(name);
    }

    pub(super) fn cut(&mut self, length: usize) {
        while self.names.len() > length {
            let name = self.names.pop();
            self.frames -= usize::from(!matches!(name, None | Some(Name::Function(..))));
        }
    }

    /// How many frames outwards the first name is that is looked for.
    pub(super) fn outwards(&self, is: impl Fn(&Name<'s>) -> bool) -> Option<usize> {
        let mut frames = 0;
        for name in self.names.iter().rev() {
            if is(name) {
                return Some(frames);
            }
            frames += usize::from(!matches!(name, Name::Function(..)));
        }
        None
    }

    pub(super) fn variable(&self, name: &str) -> Option<usize> {
        self.outwards(|known| matches!(known, Name::Variable(known) if *known == name))
    }

    pub(super) fn call(&self, name: &str, arity: usize) -> Option<Meaning> {
        let mut frames = 0;
        for known in self.names.iter().rev() {
            match known {
                Name::Argument(known) if arity == 0 && *known == name => {
                    return Some(Meaning::Argument(frames));
                }
                // `def f($a)` makes a function `a` too
                Name::Argument(known) if arity == 0 && known.strip_prefix('$') == Some(name) => {
                    return Some(Meaning::Argument(frames));
                }
                Name::Function(known, takes, number, level)
                    if *known == name && *takes == arity =>
                {
                    return Some(Meaning::Function(*number, self.frames - level));
                }
                _ => {}
            }
            frames += usize::from(!matches!(known, Name::Function(..)));
        }
        None
    }
}
