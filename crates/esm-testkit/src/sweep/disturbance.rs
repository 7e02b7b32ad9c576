//! Disturbances of two migrators.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use esm_core::{Error, Result};

use crate::faults::Fault;

/// An event that disturbs one of the two migrators of [`chaos`](super::chaos()). Its text replays
/// it: `first@12:lost`, `second@3:write`, `first@7:delay=700`.
///
/// ```
/// use esm_testkit::sweep::Disturbance;
///
/// let lost: Disturbance = "second@12:lost".parse()?;
/// assert!(lost.second && lost.operation == 12);
/// assert_eq!(lost.to_string(), "second@12:lost");
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Disturbance {
    /// Whether it disturbs the second migrator, or the first.
    pub second: bool,
    /// The number of the operation.
    pub operation: u64,
    /// The fault. Without one an application appends before the operation.
    pub fault: Option<Fault>,
}

fn fault(name: &str) -> Option<Option<Fault>> {
    Some(Some(match name {
        "write" => return Some(None),
        "before" => Fault::CrashBefore,
        "after" => Fault::CrashAfter,
        "fail" => Fault::FailBefore,
        "lost" => Fault::FailAfter,
        "twice" => Fault::Duplicate,
        other => {
            let milliseconds = other.strip_prefix("delay=")?.parse().ok()?;
            Fault::Delay(Duration::from_millis(milliseconds))
        }
    }))
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.second { "second" } else { "first" };
        write!(f, "{who}@{}:", self.operation)?;
        f.write_str(match &self.fault {
            None => "write",
            Some(Fault::CrashBefore) => "before",
            Some(Fault::CrashAfter) => "after",
            Some(Fault::FailBefore) => "fail",
            Some(Fault::FailAfter) => "lost",
            Some(Fault::Duplicate) => "twice",
            Some(Fault::Delay(time)) => return write!(f, "delay={}", time.as_millis()),
            // a gate and a step have no text to be parsed from
            Some(Fault::Stall(_)) => "stall",
            Some(Fault::Interject(_)) => "interject",
        })
    }
}

impl FromStr for Disturbance {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (who, rest) = text.split_once('@')?;
            let (operation, name) = rest.split_once(':')?;
            Some(Self {
                second: match who {
                    "first" => false,
                    "second" => true,
                    _ => return None,
                },
                operation: operation.parse().ok()?,
                fault: fault(name)?,
            })
        };
        read().ok_or_else(|| {
            Error::invalid(format!("not a disturbance: {text:?}"))
                .with_hint("write it as migrator@operation:fault, for example first@12:lost")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disturbance_is_read_as_it_is_written() -> Result<()> {
        for text in [
            "first@0:write",
            "second@7:before",
            "first@12:after",
            "first@1:fail",
            "second@99:lost",
            "first@3:twice",
            "second@4:delay=1500",
        ] {
            assert_eq!(text.parse::<Disturbance>()?.to_string(), text);
        }
        for wrong in [
            "",
            "first",
            "third@1:lost",
            "first@x:lost",
            "first@1:stall",
            "first@1:delay=x",
        ] {
            assert!(wrong.parse::<Disturbance>().is_err(), "{wrong:?}");
        }
        Ok(())
    }
}
