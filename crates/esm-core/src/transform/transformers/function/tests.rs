use super::*;
use crate::transform::fixtures::*;

fn build(id: &str) -> Result<FunctionTransformer> {
    FunctionTransformer::for_all(id, 3, |_, _| Ok(Transformed::Unchanged))
}

#[test]
fn the_fingerprint_is_what_was_declared() -> Result<()> {
    assert_eq!(build("änderung")?.fingerprint().as_str(), "fn:änderung@3");
    Ok(())
}

#[test]
fn ids_are_refused_with_the_reason() {
    let message = |id: &str| build(id).unwrap_err().to_string();
    assert_eq!(message(""), "transformer's id is empty");
    assert!(message("a\nb").contains("control character"));
    assert!(message(&"x".repeat(600)).contains("too long"));
}

#[test]
fn no_schema_is_refused() {
    let none = FunctionTransformer::new("t", 1, [], |_, _| Ok(Transformed::Unchanged));
    assert!(none.is_err_and(|e| e.hint().is_some()));
}

#[test]
fn it_handles_the_given_schemas_only() -> Result<()> {
    let some =
        FunctionTransformer::new("t", 1, [schema("A", 1)], |_, _| Ok(Transformed::Unchanged))?;
    assert!(some.handles(&schema("A", 1)));
    assert!(!some.handles(&schema("A", 2)) && !some.handles(&schema("B", 1)));
    assert!(build("all")?.handles(&schema("B", 9)));
    Ok(())
}
