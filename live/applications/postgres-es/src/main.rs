//! A bank whose accounts are aggregates of cqrs-es in PostgreSQL.
//!
//! Speaks the language of `live/applications`: `prepare`, `run` and `states`; see its README.

mod account;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use account::{Account, Pay, Writes};
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateError, EventStore as _};
use postgres_es::{PostgresCqrs, PostgresEventRepository, default_postgress_pool, postgres_cqrs};
use tokio::io::{AsyncBufReadExt as _, BufReader};

type Failure = Box<dyn std::error::Error>;

/// The input has ended.
static ENDS: AtomicBool = AtomicBool::new(false);
/// The new schema is written.
static NEW: AtomicBool = AtomicBool::new(false);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let pool = default_postgress_pool(&std::env::var("DATABASE_URL")?).await;
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["prepare", accounts, commands] => {
            sqlx::raw_sql(include_str!("schema.sql"))
                .execute(&pool)
                .await?;
            let bank = Bank::new("p", postgres_cqrs(pool, vec![], ()));
            bank.prepare(accounts.parse()?, commands.parse()?).await
        }
        ["run", name, accounts] => {
            tokio::spawn(listen());
            let bank = Bank::new(name, postgres_cqrs(pool, vec![], ()));
            bank.run(accounts.parse()?).await
        }
        ["states"] => {
            let accounts = read_lines().await?;
            let store = PersistedEventStore::<_, Account>::new_event_store(
                PostgresEventRepository::new(pool),
            );
            for account in accounts {
                let context = store.load_aggregate(&account).await?;
                let state = context.aggregate.checked()?;
                println!("state {account} {} {}", state.cents, state.events);
            }
            Ok(())
        }
        _ => Err("prepare ACCOUNTS COMMANDS | run NAME ACCOUNTS | states".into()),
    }
}

/// Standard input, each line once.
async fn read_lines() -> Result<BTreeSet<String>, Failure> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut read = BTreeSet::new();
    while let Some(line) = lines.next_line().await? {
        read.insert(line);
    }
    Ok(read)
}

/// Obeys standard input until it ends.
async fn listen() {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line == "new" {
            NEW.store(true, Ordering::SeqCst);
        }
    }
    ENDS.store(true, Ordering::SeqCst);
}

/// A process of the bank.
struct Bank {
    name: String,
    cqrs: PostgresCqrs<Account>,
}

impl Bank {
    fn new(name: &str, cqrs: PostgresCqrs<Account>) -> Self {
        let name = name.to_owned();
        Self { name, cqrs }
    }

    /// Gives each account a history.
    async fn prepare(&self, accounts: u64, commands: u64) -> Result<(), Failure> {
        for number in 0..accounts * commands {
            self.pay(number, number % accounts, Writes::Old).await;
        }
        Ok(())
    }

    /// Executes commands until the input ends. Every hundredth opens an account.
    async fn run(&self, accounts: u64) -> Result<(), Failure> {
        let mut wrote = Writes::Old;
        let mut number = 0_u64;
        while !ENDS.load(Ordering::SeqCst) {
            let writes = if NEW.load(Ordering::SeqCst) {
                Writes::New
            } else {
                Writes::Old
            };
            if writes != wrote {
                wrote = writes;
                println!("writes new");
            }
            let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            let account = if number.is_multiple_of(100) {
                accounts + mixed
            } else {
                mixed % accounts
            };
            self.pay(number, account, writes).await;
            number += 1;
        }
        Ok(())
    }

    /// Executes a command, again while another process is faster, and says what became of it.
    async fn pay(&self, number: u64, account: u64, writes: Writes) {
        let command = format!("{}-{number}", self.name);
        let cents = (number as i64 * 7919) % 20_011 - 9_000;
        let account = format!("a{account}");
        let begun = Instant::now();
        for _ in 0..1000 {
            let pay = Pay {
                command: command.clone(),
                cents,
                writes,
            };
            match self.cqrs.execute(&account, pay).await {
                Ok(()) => {
                    let microseconds = begun.elapsed().as_micros();
                    return println!("done {account} {command} {cents} {microseconds}");
                }
                Err(AggregateError::AggregateConflict) => println!("conflict"),
                Err(e) => return println!("failed {account} {command} {e}"),
            }
        }
        println!("failed {account} {command} always in conflict");
    }
}
