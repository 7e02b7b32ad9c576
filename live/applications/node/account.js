// An account: its events exist in an old schema and a new one, and both are read.

export const nothing = { events: 0, cents: 0 };

function amount(data) {
  return "cents" in data ? data.cents : Math.round(data.euros * 100);
}

// The state after one more event. Throws if the event does not follow from those before it.
export function evolve(state, { type, data }) {
  const events = state.events + 1;
  const follows = (cents) => {
    if (state.events === 0 || cents !== data.balance) {
      throw new Error(`the history is wrong at event ${events}`);
    }
    return { events, cents };
  };
  switch (type) {
    case "Opened":
    case "AccountOpened":
      if (state.events !== 0) throw new Error(`opened twice: event ${events}`);
      return { events, cents: 0 };
    case "Deposited":
    case "MoneyDeposited":
      return follows(state.cents + amount(data));
    case "Withdrawn":
    case "MoneyWithdrawn":
      return follows(state.cents - amount(data));
    default:
      throw new Error(`unknown event: ${type}`);
  }
}

// The events of a payment; of less than nothing it is a withdrawal.
export function pay(state, command, cents, isNew) {
  const events = [];
  if (state.events === 0) {
    const email = isNew ? "erased" : `${command}@bank.test`;
    const data = { command: `${command}-opens`, email };
    events.push({ type: isNew ? "AccountOpened" : "Opened", data });
  }
  const type = (isNew ? "Money" : "") + (cents < 0 ? "Withdrawn" : "Deposited");
  const size = Math.abs(cents);
  const paid = isNew ? { cents: size } : { euros: size / 100 };
  events.push({ type, data: { command, ...paid, balance: state.cents + cents } });
  return events;
}
