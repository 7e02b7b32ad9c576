//! `docs/terminal/`: what a terminal shows, drawn from the snapshots that the tests of esm-cli compare.
//!
//! A picture cannot show what the program does not print: the snapshots are tested, and
//! `cargo xtask tidy` compares the pictures with the snapshots.

use std::path::{Path, PathBuf};

use anstyle::{Color, RgbColor};
use anstyle_svg::{Palette, Term};
use anyhow::{Context as _, Result};

use crate::project;

/// A snapshot, and the command whose output it is.
struct Shot {
    snapshot: &'static str,
    command: &'static str,
}

const SHOTS: [Shot; 6] = [
    Shot {
        snapshot: "plan",
        command: "esm plan --all --transform v2.jq --show 9",
    },
    Shot {
        snapshot: "migrate",
        command: "esm migrate --all --transform v2.jq --yes",
    },
    Shot {
        snapshot: "status_of_one_ready",
        command: "esm status 89abcdef",
    },
    Shot {
        snapshot: "watch_ready",
        command: "esm watch --once",
    },
    Shot {
        snapshot: "migrate_failing",
        command: "esm migrate --all --transform fails.jq --yes --keep-going",
    },
    Shot {
        snapshot: "status_of_one_failing",
        command: "esm status 89abcdef",
    },
];

/// The widths of the terminals of the snapshots.
const COLUMNS: [usize; 2] = [80, 200];

/// The colors of a terminal.
struct Theme {
    name: &'static str,
    background: RgbColor,
    text: RgbColor,
    red: RgbColor,
    green: RgbColor,
    magenta: RgbColor,
}

const THEMES: [Theme; 2] = [
    Theme {
        name: "dark",
        background: RgbColor(0x16, 0x1b, 0x22),
        text: RgbColor(0xe6, 0xed, 0xf3),
        red: RgbColor(0xff, 0x7b, 0x72),
        green: RgbColor(0x56, 0xd3, 0x64),
        magenta: RgbColor(0xd2, 0xa8, 0xff),
    },
    Theme {
        name: "light",
        background: RgbColor(0xf6, 0xf8, 0xfa),
        text: RgbColor(0x1f, 0x23, 0x28),
        red: RgbColor(0xb3, 0x1d, 0x28),
        green: RgbColor(0x11, 0x63, 0x29),
        magenta: RgbColor(0x6f, 0x42, 0xc1),
    },
];

/// Draws all pictures.
pub(crate) fn run() -> Result<()> {
    for (path, picture) in pictures()? {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, picture)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// A line for each picture that is missing or shows another output than its snapshot.
pub(crate) fn outdated() -> Result<Vec<String>> {
    let outdated = pictures()?
        .into_iter()
        .filter(|(path, picture)| std::fs::read_to_string(path).ok().as_ref() != Some(picture));
    let lines = outdated.map(|(path, _)| {
        let path = path.strip_prefix(project::root()).unwrap_or(&path);
        format!("{}: outdated: run `cargo xtask pictures`", path.display())
    });
    Ok(lines.collect())
}

/// Every picture with its path.
fn pictures() -> Result<Vec<(PathBuf, String)>> {
    let mut pictures = Vec::new();
    for shot in &SHOTS {
        for columns in COLUMNS {
            let screen = screen(shot, columns)?;
            for theme in &THEMES {
                let name = format!("{}-{columns}-{}.svg", shot.snapshot, theme.name);
                let path = project::root().join("docs/terminal").join(name);
                pictures.push((path, drawn(&screen, columns, theme)));
            }
        }
    }
    Ok(pictures)
}

/// What a terminal shows: the command, and the output of its snapshot.
fn screen(shot: &Shot, columns: usize) -> Result<String> {
    let name = format!("cli__terminal__{}_{columns}.snap", shot.snapshot);
    let snapshot = Path::new("crates/esm-cli/tests/cli/snapshots").join(name);
    let text = project::read(&snapshot)?;
    let output = text
        .splitn(3, "---\n")
        .nth(2)
        .with_context(|| format!("{} is no snapshot", snapshot.display()))?;
    let output = output.trim_end().replace('␛', "\u{1b}");
    Ok(format!("$ {}\n{output}", shot.command))
}

fn drawn(screen: &str, columns: usize, theme: &Theme) -> String {
    // the width of a character of the font that the picture names
    const CHARACTER: f64 = 8.4;
    let term = Term::new()
        .palette(theme.palette())
        .fg_color(Color::Rgb(theme.text))
        .bg_color(Color::Rgb(theme.background))
        .min_width_px((columns as f64 * CHARACTER).ceil() as usize);
    term.render_svg(screen)
}

impl Theme {
    /// The colors that esm uses; the others are the text's.
    fn palette(&self) -> Palette {
        let mut colors = [self.text; 16];
        for (at, color) in [(1, self.red), (2, self.green), (5, self.magenta)] {
            colors[at] = color;
            colors[at + 8] = color;
        }
        Palette(colors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_command_the_output_and_the_colors_of_its_theme() {
        for theme in &THEMES {
            let picture = drawn("$ esm list\n\u{1b}[31m- gone & <lost>\u{1b}[0m", 80, theme);
            assert!(picture.contains("$ esm list"), "{picture}");
            assert!(picture.contains("- gone &amp; &lt;lost&gt;"), "{picture}");
            let RgbColor(red, green, blue) = theme.red;
            let color = format!("#{red:02X}{green:02X}{blue:02X}");
            assert!(picture.contains(&color), "{picture}");
        }
    }
}
