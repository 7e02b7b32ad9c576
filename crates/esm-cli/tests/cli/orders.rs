//! Generated events.

/// One line of one order.
pub(crate) fn line(order: &str, sequence: usize) -> String {
    let kind = match sequence {
        0 => "OrderPlaced",
        1 => "OrderPaid",
        _ => "NoteTaken",
    };
    format!(
        concat!(
            r#"{{"specversion":"1.0","id":"order/{order}/{sequence}","source":"order","#,
            r#""subject":"{order}","type":"{kind}","sequence":"{sequence}","schemaversion":1,"#,
            r#""time":"2026-01-02T03:04:05.{sequence:03}+02:00","datacontenttype":"application/json","#,
            r#""data":{{"number": {sequence},  "text":"é 🛒 1.10","price":1.10}}}}"#
        ),
        order = order,
        sequence = sequence,
        kind = kind,
    )
}

/// All lines of some orders, one order after another, in the order of their names.
pub(crate) fn sorted(orders: usize, events: usize) -> String {
    let mut lines = String::new();
    for order in 0..orders {
        for sequence in 0..events {
            lines.push_str(&line(&format!("{order:05}"), sequence));
            lines.push('\n');
        }
    }
    lines
}

/// Lines of one order, of more than 8 KiB each: about 4,000 of them are read before the first are written.
pub(crate) fn large(events: usize) -> String {
    let text = format!("{}\",", "x".repeat(8 << 10));
    sorted(1, events).replace("1.10\",", &text)
}

/// The same lines, the orders' interleaved.
pub(crate) fn interleaved(orders: usize, events: usize) -> String {
    let mut lines = String::new();
    for sequence in 0..events {
        for order in 0..orders {
            lines.push_str(&line(&format!("{order:05}"), sequence));
            lines.push('\n');
        }
    }
    lines
}
