//! The life of one order.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::dice::Dice;

/// 3 March 2025, 08:00 UTC: when the shop opens.
const OPENING: i64 = 1_740_988_800;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const CUSTOMERS: &[&str] = &[
    "Zoë Müller",
    "Łukasz Nowak",
    "Amara Okafor",
    "李小龙",
    "Søren Kierkegård",
    "Maria Γεωργίου",
    "Jean-Luc Dubois",
    "Aoife O’Brien",
    "Иван Петров",
    "Sam Carter",
    "Noor Haddad",
    "Chidi Eze",
];
/// What the shop sells: article, name, price in cents.
const ARTICLES: &[&(&str, &str, u64)] = &[
    &("KET-01", "Kettle, 1.7 l", 3_990),
    &("MUG-12", "Mug, blue", 890),
    &("TEA-07", "Earl Grey, 250 g", 1_250),
    &("TEA-09", "Sencha “Asatsuyu”, 100 g", 1_890),
    &("COF-03", "Espresso beans, 1 kg", 2_450),
    &("GRD-02", "Hand grinder", 6_900),
    &("FLT-04", "Paper filters, 100", 490),
    &("SCL-01", "Scale, 0.1 g", 3_490),
];
const NOTES: &[&str] = &[
    "customer called, is in a hurry",
    "rang twice, nobody answered",
    "wants it as a gift, no invoice in the parcel",
    "asked for a discount; refused politely",
];

/// One event as a line of the sample.
#[derive(Debug)]
pub(super) struct Entry {
    /// When it happened, in seconds since 1970.
    pub(super) at: i64,
    pub(super) order: u64,
    pub(super) sequence: u64,
    kind: &'static str,
    data: Value,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Timestamp::from_second(self.at).map_err(|_| fmt::Error)?;
        let (order, sequence, kind, data) = (self.order, self.sequence, self.kind, &self.data);
        write!(
            f,
            r#"{{"specversion":"1.0","id":"order-{order}-{sequence}","source":"order","#
        )?;
        write!(
            f,
            r#""subject":"{order}","type":"{kind}","sequence":"{sequence}","schemaversion":1,"#
        )?;
        write!(
            f,
            r#""time":"{time}","datacontenttype":"application/json","data":{data}}}"#
        )
    }
}

/// All events of one order, oldest first.
pub(super) fn life(order: u64, dice: &mut Dice) -> Vec<Entry> {
    let mut history = History {
        order,
        now: OPENING + (order as i64 - 1001) * 97 * MINUTE + dice.below(90) as i64 * MINUTE,
        events: Vec::new(),
    };
    let total = fill_the_basket(&mut history, dice);
    take_note(&mut history, dice, 15);
    if dice.percent(9) {
        let reason = dice.one(&["changed their mind", "found it cheaper", "ordered twice"]);
        history.add(
            dice,
            5 * HOUR,
            "OrderCancelled",
            json!({ "reason": reason }),
        );
        return history.events;
    }
    pay(&mut history, dice, total);
    take_note(&mut history, dice, 10);
    ship(&mut history, dice);
    history.events
}

fn fill_the_basket(history: &mut History, dice: &mut Dice) -> u64 {
    let customer = dice.one(CUSTOMERS);
    let channel = dice.one(&["web", "app", "phone"]);
    history.add(
        dice,
        0,
        "OrderPlaced",
        json!({ "customer": customer, "channel": channel, "currency": "EUR" }),
    );
    let mut total = 0;
    for _ in 0..1 + dice.below(4) {
        let (article, name, price) = dice.one(ARTICLES);
        let quantity = 1 + dice.below(3);
        total += price * quantity;
        history.add(
            dice,
            4 * MINUTE,
            "ItemAdded",
            json!({ "article": article, "name": name, "quantity": quantity, "price_cents": price }),
        );
    }
    if dice.percent(12) {
        let off = total / 10;
        total -= off;
        let code = dice.one(&["SPRING10", "WELCOME"]);
        history.add(
            dice,
            2 * MINUTE,
            "CouponApplied",
            json!({ "code": code, "off_cents": off }),
        );
    }
    total
}

fn pay(history: &mut History, dice: &mut Dice, total: u64) {
    if dice.percent(7) {
        history.add(
            dice,
            3 * MINUTE,
            "PaymentFailed",
            json!({ "method": "card", "reason": "declined" }),
        );
    }
    let method = dice.one(&["card", "transfer", "wallet"]);
    history.add(
        dice,
        HOUR,
        "PaymentReceived",
        json!({ "method": method, "amount_cents": total }),
    );
}

fn ship(history: &mut History, dice: &mut Dice) {
    let carrier = dice.one(&["Parcel One", "Velo Kurier", "PostNow"]);
    let tracking = format!("{:010}", dice.below(10_000_000_000));
    let weight = 200 + dice.below(4_000);
    history.add(
        dice,
        2 * DAY,
        "OrderShipped",
        json!({ "carrier": carrier, "tracking": tracking, "weight_grams": weight }),
    );
    if dice.percent(85) {
        let to = dice.one(&["front door", "neighbour", "parcel locker"]);
        history.add(dice, 3 * DAY, "OrderDelivered", json!({ "left_with": to }));
    }
    if dice.percent(6) {
        let reason = dice.one(&["damaged", "not as described", "did not like it"]);
        history.add(dice, 10 * DAY, "ItemReturned", json!({ "reason": reason }));
    }
}

fn take_note(history: &mut History, dice: &mut Dice, percent: u64) {
    if dice.percent(percent) {
        let note = dice.one(NOTES);
        let by = dice.one(&["support-1", "support-2"]);
        history.add(
            dice,
            2 * HOUR,
            "NoteTaken",
            json!({ "by": by, "text": note }),
        );
    }
}

/// An order's events so far.
#[derive(Debug)]
struct History {
    order: u64,
    now: i64,
    events: Vec<Entry>,
}

impl History {
    /// Something happens, at most `within` seconds (and one minute) after what happened before.
    fn add(&mut self, dice: &mut Dice, within: i64, kind: &'static str, data: Value) {
        if !self.events.is_empty() {
            self.now += 7 + dice.below(within.unsigned_abs() + 60) as i64;
        }
        self.events.push(Entry {
            at: self.now,
            order: self.order,
            sequence: self.events.len() as u64,
            kind,
            data,
        });
    }
}
