//! `cargo run -p esm-model -- [--large] [SCOPE…]` explores scopes, all unless some are named, and
//! prints how many states each has, how long it took, and how a property is broken, if one is.

use esm_model::{Bounds, Protocol, all, explore};

fn main() -> esm_core::Result<()> {
    let mut named: Vec<String> = std::env::args().skip(1).collect();
    let bounds = match named.iter().position(|name| name == "--large") {
        Some(at) => {
            named.remove(at);
            Bounds::Large
        }
        None => Bounds::Small,
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for scope in all(bounds) {
        if !named.is_empty() && !named.iter().any(|name| name == scope.name) {
            continue;
        }
        print!("{}: ", scope.name);
        println!("{}", explore(Protocol::whole(scope)?, threads));
    }
    Ok(())
}
