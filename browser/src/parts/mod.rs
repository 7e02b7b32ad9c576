//! The parts of the story, in their order.
//!
//! | file | what |
//! |---|---|
//! | `watching` | numbers move, ages are right, a restart is survived, many tabs load |
//! | `steering` | by keyboard: paused, hurried, cut over by one of two, cancelled |
//! | `pages` | axe, widths, colours, pictures of every page |
//! | `strangers` | other sites, other names, text that pretends to be a page |

mod pages;
mod steering;
mod strangers;
mod watching;

use std::pin::Pin;

use anyhow::Result;

use crate::world::World;

/// A part of the story.
pub(crate) struct Part {
    /// What it shows, as a sentence.
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

type Run = for<'a> fn(&'a mut World) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A part that this function runs.
macro_rules! part {
    ($name:literal, $function:path) => {
        Part {
            name: $name,
            run: |world| Box::pin($function(world)),
        }
    };
}

pub(crate) const PARTS: &[Part] = &[
    part!("numbers move without a reload", watching::numbers_move),
    part!(
        "a clock that is wrong does not make ages wrong",
        watching::clocks_may_differ
    ),
    part!(
        "what works is readable for everybody",
        pages::while_it_works
    ),
    part!(
        "by keyboard alone a migration is found and paused",
        steering::paused_by_keyboard
    ),
    part!("it is resumed and hurried", steering::hurried),
    part!("another waits for its cutover", steering::another_waits),
    part!(
        "another origin gets and does nothing",
        strangers::another_origin
    ),
    part!(
        "of two operators that approve at once one is refused",
        steering::two_operators
    ),
    part!("every page is readable for everybody", pages::every_page),
    part!(
        "a final command wants the id typed, and cancels",
        steering::cancelled
    ),
    part!("text of others is text", strangers::text_is_text),
    part!("another name gets nothing", strangers::another_name),
    part!(
        "read-only has no buttons and no routes",
        strangers::read_only
    ),
    part!("eight tabs load", watching::eight_tabs),
    part!(
        "a console that restarts is said to be away, and comes back",
        watching::a_restart
    ),
];
