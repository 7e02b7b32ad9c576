//! Which schema versions a program tests for, derived from its text.

use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::ops::Cmp;

use crate::retired::number;
use crate::syntax::{each, is_key};

/// A comparison of `.schemaversion`, on the left, with a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VersionTest {
    cmp: Cmp,
    number: u64,
}

impl VersionTest {
    /// Whether it is true of this version.
    pub(crate) fn holds(self, version: u64) -> bool {
        let number = self.number;
        match self.cmp {
            Cmp::Eq => version == number,
            Cmp::Ne => version != number,
            Cmp::Lt => version < number,
            Cmp::Le => version <= number,
            Cmp::Gt => version > number,
            Cmp::Ge => version >= number,
        }
    }
}

/// The comparisons of `.schemaversion` with numbers, also as `.schemaversion // 1` and by `IN`.
pub(crate) fn tests(program: &Term<&str>) -> Vec<VersionTest> {
    let mut tests = Vec::new();
    each(program, &mut |term| match term {
        Term::BinOp(left, BinaryOp::Cmp(cmp), right) => {
            let sides = [(left, *cmp, right), (right, mirrored(*cmp), left)];
            let test = sides.into_iter().find_map(|(version, cmp, with)| {
                let number = number(with).filter(|_| is_version(version))?;
                Some(VersionTest { cmp, number })
            });
            tests.extend(test);
        }
        Term::BinOp(left, BinaryOp::Pipe(None), right) if is_version(left) => {
            if let Term::Call("IN", arguments) = &**right {
                let numbers = arguments.iter().flat_map(numbers);
                let cmp = Cmp::Eq;
                tests.extend(numbers.map(|number| VersionTest { cmp, number }));
            }
        }
        _ => {}
    });
    tests
}

fn is_version(term: &Term<&str>) -> bool {
    match term {
        Term::BinOp(left, BinaryOp::Alt, _) => is_version(left),
        term => is_key(term, "schemaversion"),
    }
}

/// The numbers with commas between them.
fn numbers(term: &Term<&str>) -> Vec<u64> {
    match term {
        Term::BinOp(left, BinaryOp::Comma, right) => [numbers(left), numbers(right)].concat(),
        term => number(term).into_iter().collect(),
    }
}

fn mirrored(cmp: Cmp) -> Cmp {
    match cmp {
        Cmp::Lt => Cmp::Gt,
        Cmp::Le => Cmp::Ge,
        Cmp::Gt => Cmp::Lt,
        Cmp::Ge => Cmp::Le,
        same @ (Cmp::Eq | Cmp::Ne) => same,
    }
}

#[cfg(test)]
mod tests {
    use jaq_core::load::parse;

    #[test]
    fn what_is_compared_with_the_version_is_found() {
        for (program, expected) in [
            (
                "if .schemaversion == 1 then .data = 2 end",
                vec![true, false],
            ),
            ("select(2 > .schemaversion)", vec![true, false]),
            ("select((.schemaversion // 1) != 1)", vec![false, true]),
            ("select(.schemaversion | IN(2, 3))", vec![false, true]),
            (
                "select(.type == \"A\" and .schemaversion <= 2)",
                vec![true, true],
            ),
        ] {
            let term = parse(program, |p| p.term()).unwrap_or_else(|| panic!("{program}"));
            let tests = super::tests(&term);
            let holds = |version| tests.iter().any(|test| test.holds(version));
            assert_eq!([1, 2].map(holds).to_vec(), expected, "{program}");
        }
        let none = parse(".data.schemaversion == 1", |p| p.term()).unwrap();
        assert!(super::tests(&none).is_empty());
    }
}
