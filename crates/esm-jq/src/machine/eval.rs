//! Terms that give any number of outputs.

use super::{Bound, Env, Flow, Item, Machine, Out};
use crate::fail::Exit;
use crate::ir::{Call, Id, Op};
use crate::value::Val;

/// The term that comes next, in the same place: what a tail call is made of.
pub(super) struct Next(pub(super) Id, pub(super) Env, pub(super) Item);

impl Machine<'_> {
    /// Hands over all outputs of a term.
    pub(super) fn eval(&self, id: Id, env: Env, input: Item, out: &mut Out<'_>) -> Flow {
        self.budget.stack()?;
        let mut next = Next(id, env, input);
        loop {
            let Next(id, env, input) = next;
            let node = self.node(id);
            if node.single && !input.path.asked() {
                return out(Item::plain(self.one(id, &env, input.value)?));
            }
            match self.step(id, env, input, out) {
                Ok(Some(tail)) => next = tail,
                Ok(None) => return Ok(()),
                Err(exit) => return Err(self.placed(exit, id)),
            }
        }
    }

    /// Hands over the values that a term gives where no path is asked for.
    pub(super) fn values(
        &self,
        id: Id,
        env: &Env,
        input: &Val,
        out: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        if self.node(id).single {
            return out(self.one(id, env, input.clone())?);
        }
        let input = Item::plain(input.clone());
        self.eval(id, env.clone(), input, &mut |item| out(item.value))
    }

    /// Hands over outputs, or returns the term that gives the rest of them.
    pub(super) fn step(
        &self,
        id: Id,
        env: Env,
        input: Item,
        out: &mut Out<'_>,
    ) -> Result<Option<Next>, Exit> {
        match &self.node(id).op {
            Op::Identity => out(input)?,
            Op::Pipe(left, right) => return self.pipe(*left, *right, env, input, out),
            Op::Comma(left, right) => {
                self.eval(*left, env.clone(), input.clone(), out)?;
                return Ok(Some(Next(*right, env, input)));
            }
            Op::If(condition, then, otherwise) => {
                return self.branch(*condition, (*then, *otherwise), env, input, out);
            }
            Op::Call(call) => {
                let env = self.called(call, &env)?;
                return Ok(Some(Next(self.code.bodies[call.function], env, input)));
            }
            Op::Argument(outwards) => match env.bound(*outwards) {
                Bound::Closure(id, env) => return Ok(Some(Next(*id, env.clone(), input))),
                _ => unreachable!("the compiler knows what is an argument"),
            },
            Op::Bind(binding, body) => return self.bind_and(binding, *body, env, input, out),
            Op::Index(base, key, optional) => {
                self.index(*base, *key, *optional, &env, input, out)?;
            }
            Op::Slice(base, from, to, optional) => {
                self.slices(*from, *to, &env, &input.value, &mut |key| {
                    self.at_key(*base, &key, *optional, &env, &input, out)
                })?;
            }
            Op::Each(base, optional) => self.each(*base, *optional, &env, input, out)?,
            Op::Alternative(left, right) => {
                let mut any = false;
                self.eval(*left, env.clone(), input.clone(), &mut |item| {
                    if !item.value.is_true() {
                        return Ok(());
                    }
                    any = true;
                    out(item)
                })?;
                if !any {
                    return Ok(Some(Next(*right, env, input)));
                }
            }
            Op::Try(body, catch) => return self.attempt(*body, *catch, env, input, out),
            Op::Label(body) => {
                let label = self.label();
                let env = env.push(Bound::Label(label));
                match self.eval(*body, env, input, out) {
                    Err(Exit::Break(at)) if at == label => {}
                    flow => flow?,
                }
            }
            Op::Break(outwards) => match env.bound(*outwards) {
                Bound::Label(label) => return Err(Exit::Break(*label)),
                _ => unreachable!("the compiler knows what is a label"),
            },
            Op::Reduce(binding, init, update) => {
                self.reduce(binding, (*init, *update), &env, input, out)?;
            }
            Op::Foreach(binding, init, update, extract) => {
                self.foreach(binding, (*init, *update, *extract), &env, input, out)?;
            }
            Op::Control(control, arguments) => {
                return self.control(*control, arguments, env, input, out);
            }
            _ => {
                let asked = input.path.asked();
                self.made(id, &env, &input.value, &mut |value| {
                    out(Item::made(value, asked))
                })?;
            }
        }
        Ok(None)
    }

    fn pipe(
        &self,
        left: Id,
        right: Id,
        env: Env,
        input: Item,
        out: &mut Out<'_>,
    ) -> Result<Option<Next>, Exit> {
        if self.node(left).single && !input.path.asked() {
            let middle = self.one(left, &env, input.value)?;
            return Ok(Some(Next(right, env, Item::plain(middle))));
        }
        self.eval(left, env.clone(), input, &mut |middle| {
            self.eval(right, env.clone(), middle, out)
        })?;
        Ok(None)
    }

    fn branch(
        &self,
        condition: Id,
        (then, otherwise): (Id, Id),
        env: Env,
        input: Item,
        out: &mut Out<'_>,
    ) -> Result<Option<Next>, Exit> {
        let chosen = |value: &Val| if value.is_true() { then } else { otherwise };
        if self.node(condition).single {
            let value = self.one(condition, &env, input.value.clone())?;
            return Ok(Some(Next(chosen(&value), env, input)));
        }
        self.values(condition, &env, &input.value, &mut |value| {
            self.eval(chosen(&value), env.clone(), input.clone(), out)
        })?;
        Ok(None)
    }

    /// What names mean inside of a function that is called here.
    pub(super) fn called(&self, call: &Call, env: &Env) -> Result<Env, Exit> {
        if call.recursive {
            self.budget.step()?;
        }
        let defined = env.outwards(call.outwards).clone();
        Ok(call.arguments.iter().fold(defined, |inside, argument| {
            // an argument that is passed on means what it meant
            let bound = match self.node(*argument).op {
                Op::Argument(outwards) => match env.bound(outwards) {
                    Bound::Closure(id, env) => Bound::Closure(*id, env.clone()),
                    _ => unreachable!("the compiler knows what is an argument"),
                },
                _ => Bound::Closure(*argument, env.clone()),
            };
            inside.push(bound)
        }))
    }

    fn index(
        &self,
        base: Id,
        key: Id,
        optional: bool,
        env: &Env,
        input: Item,
        out: &mut Out<'_>,
    ) -> Flow {
        self.values(key, env, &input.value, &mut |key| {
            self.at_key(base, &key, optional, env, &input, out)
        })
    }

    /// What is at a key of all that a term gives.
    fn at_key(
        &self,
        base: Id,
        key: &Val,
        optional: bool,
        env: &Env,
        input: &Item,
        out: &mut Out<'_>,
    ) -> Flow {
        self.eval(
            base,
            env.clone(),
            input.clone(),
            &mut |item| match item.index(key) {
                Ok(found) => out(found),
                Err(Exit::Fail(_)) if optional => Ok(()),
                Err(exit) => Err(exit),
            },
        )
    }

    fn each(&self, base: Id, optional: bool, env: &Env, input: Item, out: &mut Out<'_>) -> Flow {
        self.eval(base, env.clone(), input, &mut |item| {
            if optional && !matches!(item.value, Val::Arr(_) | Val::Obj(_)) {
                return Ok(());
            }
            item.each(out)
        })
    }

    /// An error of the term is caught, one of those that take its outputs is not.
    fn attempt(
        &self,
        body: Id,
        catch: Option<Id>,
        env: Env,
        input: Item,
        out: &mut Out<'_>,
    ) -> Result<Option<Next>, Exit> {
        let asked = input.path.asked();
        let mut passed = false;
        let flow = self.eval(body, env.clone(), input, &mut |item| {
            let flow = out(item);
            passed |= flow.is_err();
            flow
        });
        match flow {
            Err(Exit::Fail(fail)) if !passed => {
                let caught = Item::made(fail.into_value(), asked);
                Ok(catch.map(|catch| Next(catch, env, caught)))
            }
            flow => flow.map(|()| None),
        }
    }

    fn placed(&self, exit: Exit, id: Id) -> Exit {
        match self.node(id).at {
            Some(at) => exit.at(at as usize),
            None => exit,
        }
    }
}
