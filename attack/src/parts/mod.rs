//! The parts of the attack. None of them uses another.

pub(crate) mod damage;
pub(crate) mod freezes;
pub(crate) mod hostile;
pub(crate) mod kills;
pub(crate) mod resources;
pub(crate) mod scenes;
pub(crate) mod walks;
