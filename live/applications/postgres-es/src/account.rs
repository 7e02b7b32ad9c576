//! An account: an aggregate whose events exist in an old schema and a new one. It reads both.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

/// Which schema is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    Old,
    New,
}

/// What to do with an account. A payment of less than nothing is a withdrawal.
#[derive(Debug)]
pub struct Pay {
    pub command: String,
    pub cents: i64,
    pub writes: Writes,
}

/// An amount: in euros, or in cents since the new schema.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    Euros { euros: f64 },
    Cents { cents: i64 },
}

impl Amount {
    fn new(cents: i64, writes: Writes) -> Self {
        match writes {
            Writes::Old => Self::Euros {
                euros: cents as f64 / 100.0,
            },
            Writes::New => Self::Cents { cents },
        }
    }

    fn cents(self) -> i64 {
        match self {
            Self::Euros { euros } => (euros * 100.0).round() as i64,
            Self::Cents { cents } => cents,
        }
    }
}

/// What happened. `balance` is that of the account afterwards, in cents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AccountEvent {
    /// The old name of `AccountOpened`.
    Opened {
        command: String,
        email: String,
    },
    AccountOpened {
        command: String,
        email: String,
    },
    Deposited {
        command: String,
        #[serde(flatten)]
        amount: Amount,
        balance: i64,
    },
    Withdrawn {
        command: String,
        #[serde(flatten)]
        amount: Amount,
        balance: i64,
    },
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        let name = match self {
            Self::Opened { .. } => "Opened",
            Self::AccountOpened { .. } => "AccountOpened",
            Self::Deposited { .. } => "Deposited",
            Self::Withdrawn { .. } => "Withdrawn",
        };
        name.to_owned()
    }

    fn event_version(&self) -> String {
        let version = match self {
            Self::Opened { .. } => "1.0",
            Self::AccountOpened { .. } => "2.0",
            Self::Deposited { amount, .. } | Self::Withdrawn { amount, .. } => match amount {
                Amount::Euros { .. } => "1.0",
                Amount::Cents { .. } => "2.0",
            },
        };
        version.to_owned()
    }
}

/// The history of an account is not one that its commands can have made.
#[derive(Debug, thiserror::Error)]
#[error("the history is wrong at event {0}")]
pub struct Wrong(u64);

/// An account, as its events make it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account {
    pub events: u64,
    pub cents: i64,
    /// The first event that does not follow from those before it.
    wrong: Option<u64>,
}

impl Account {
    /// The state, unless the history is wrong.
    pub fn checked(&self) -> Result<&Self, Wrong> {
        self.wrong.map_or(Ok(self), |event| Err(Wrong(event)))
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Pay;
    type Event = AccountEvent;
    type Error = Wrong;
    type Services = ();

    /// Every command reads the whole history, so that each checks all of it.
    async fn handle(
        &mut self,
        pay: Pay,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        self.checked()?;
        if self.events == 0 {
            let command = format!("{}-opens", pay.command);
            let opened = match pay.writes {
                Writes::Old => AccountEvent::Opened {
                    command,
                    email: format!("{}@bank.test", pay.command),
                },
                Writes::New => AccountEvent::AccountOpened {
                    command,
                    email: "erased".to_owned(),
                },
            };
            sink.write(opened, self).await;
        }
        let amount = Amount::new(pay.cents.abs(), pay.writes);
        let (command, balance) = (pay.command, self.cents + pay.cents);
        let event = if pay.cents < 0 {
            AccountEvent::Withdrawn {
                command,
                amount,
                balance,
            }
        } else {
            AccountEvent::Deposited {
                command,
                amount,
                balance,
            }
        };
        sink.write(event, self).await;
        self.checked().map(drop)
    }

    fn apply(&mut self, event: AccountEvent) {
        use AccountEvent::{AccountOpened, Deposited, Opened, Withdrawn};
        let follows = match event {
            Opened { .. } | AccountOpened { .. } => self.events == 0,
            Deposited {
                amount, balance, ..
            } => {
                self.cents += amount.cents();
                self.events > 0 && self.cents == balance
            }
            Withdrawn {
                amount, balance, ..
            } => {
                self.cents -= amount.cents();
                self.events > 0 && self.cents == balance
            }
        };
        self.events += 1;
        if !follows {
            self.wrong.get_or_insert(self.events);
        }
    }
}
