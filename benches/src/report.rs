//! What is printed, as it comes.

use esm_bench::counting::Count;

use crate::measure::Comparison;

/// Prints the findings.
#[derive(Debug, Default)]
pub(crate) struct Report;

impl Report {
    /// A headline.
    pub(crate) fn section(&mut self, title: &str) {
        println!("\n{title}");
    }

    /// Two things in comparison.
    pub(crate) fn ratio(&mut self, label: &str, comparison: &Comparison) {
        println!("  {label:<52} {comparison}");
    }

    /// The columns of requests.
    pub(crate) fn requests_head(&mut self) {
        println!(
            "  {:<52} {:>9} {:>9} {:>9} {:>12}",
            "", "writes", "hints", "reads", "budget"
        );
    }

    /// Requests, divided by the number that they are reported for, and the writes that the protocol allows.
    pub(crate) fn requests(&mut self, label: &str, counts: &[Count], per: f64, budget: &str) {
        let sum = |wanted: &dyn Fn(&Count) -> bool| {
            let counts = counts.iter().filter(|count| wanted(count));
            counts.map(|count| count.number).sum::<u64>() as f64 / per
        };
        println!(
            "  {label:<52} {:>9.1} {:>9.1} {:>9.1} {budget:>12}",
            sum(&|count| count.is_write() && !count.is_hint),
            sum(&|count| count.is_write() && count.is_hint),
            sum(&|count| !count.is_write()),
        );
        let each = |count: &Count| {
            let (what, of) = (count.request, count.number as f64 / per);
            let folder = &count.folder;
            format!("{what} {folder} {of:.1}")
        };
        let kinds: Vec<_> = counts.iter().map(each).collect();
        println!("    {}", kinds.join(", "));
    }

    /// Anything else.
    pub(crate) fn line(&mut self, text: &str) {
        println!("  {text}");
    }
}
