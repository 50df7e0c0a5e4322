//! Models that compute here take turns: more at a time than there are cores would each be slower,
//! and every one keeps a key/value cache.
//!
//! Whoever waits is served in the order of asking, and can break off meanwhile.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docent_core::{
    ChatDelta, ChatModel, ChatReply, ChatRequest, ChatSpec, FinishReason, Result, Usage,
};

/// How often one who waits is asked whether to go on.
const TICK: Duration = Duration::from_millis(100);

/// So many chats at a time, in the order they were asked for.
#[derive(Debug)]
pub struct Turns {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    next_ticket: u64,
    waiting: BTreeSet<u64>,
}

impl Turns {
    /// At most `places` at a time; one at least.
    pub fn new(places: usize) -> Self {
        let state = State { free: places.max(1), next_ticket: 0, waiting: BTreeSet::new() };
        Self { state: Mutex::new(state), moved: Condvar::new() }
    }

    /// As many as there are cores.
    pub fn for_this_machine() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Waits for a turn as long as `go_on` says so; none if it no longer does.
    fn wait(&self, go_on: &mut dyn FnMut() -> ControlFlow<()>) -> Option<Turn<'_>> {
        let mut place = Place { turns: self, ticket: self.line_up() };
        loop {
            if let Some(turn) = place.take_within(TICK) {
                return Some(turn);
            }
            // Asked without the lock: what the caller does there is not ours to know.
            if go_on().is_break() {
                return None;
            }
        }
    }

    fn line_up(&self) -> u64 {
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(ticket);
        ticket
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the line, left when dropped.
struct Place<'a> {
    turns: &'a Turns,
    ticket: u64,
}

impl<'a> Place<'a> {
    fn take_within(&mut self, time: Duration) -> Option<Turn<'a>> {
        let turns = self.turns;
        let not_yet =
            |state: &mut State| state.free == 0 || state.waiting.first() != Some(&self.ticket);
        let waited = turns.moved.wait_timeout_while(turns.lock(), time, not_yet);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return None;
        }
        state.free -= 1;
        state.waiting.remove(&self.ticket);
        drop(state);
        // There may be another turn for who is first now.
        turns.moved.notify_all();
        Some(Turn(turns))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.lock().waiting.remove(&self.ticket);
        self.turns.moved.notify_all();
    }
}

/// A turn, given back when dropped.
struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().free += 1;
        self.0.moved.notify_all();
    }
}

/// A chat model that takes turns with others.
///
/// While it waits for one it pushes an empty [`ChatDelta::Text`] ten times a second, so that the
/// caller can break off.
#[derive(Debug)]
pub struct Bounded {
    model: Arc<dyn ChatModel>,
    turns: Arc<Turns>,
}

impl Bounded {
    /// `model`, which takes its turn among all that share `turns`.
    pub fn new(model: Arc<dyn ChatModel>, turns: Arc<Turns>) -> Self {
        Self { model, turns }
    }
}

impl ChatModel for Bounded {
    fn spec(&self) -> &ChatSpec {
        self.model.spec()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.model.count_tokens(text)
    }

    fn chat(
        &self,
        request: &ChatRequest<'_>,
        on_delta: &mut dyn FnMut(ChatDelta) -> ControlFlow<()>,
    ) -> Result<ChatReply> {
        let turn = self.turns.wait(&mut || on_delta(ChatDelta::Text(String::new())));
        let Some(_turn) = turn else {
            return Ok(ChatReply {
                text: String::new(),
                tool_calls: Vec::new(),
                finish: FinishReason::Cancelled,
                usage: Usage::default(),
            });
        };
        self.model.chat(request, on_delta)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::chat::{Scripted, ScriptedReply};

    fn go_on() -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Waits until `count` stand in line.
    fn await_line(turns: &Turns, count: usize) {
        while turns.lock().waiting.len() < count {
            thread::yield_now();
        }
    }

    #[test]
    fn turns_come_in_the_order_of_asking_and_never_too_many() {
        let turns = Turns::new(1);
        let (sender, order) = mpsc::channel();
        thread::scope(|scope| {
            let first = turns.wait(&mut go_on).unwrap();
            for number in 0..5 {
                let (turns, sender) = (&turns, sender.clone());
                scope.spawn(move || {
                    let _turn = turns.wait(&mut go_on).unwrap();
                    sender.send((number, turns.lock().free)).unwrap();
                });
                await_line(turns, number + 1);
            }
            drop(first);
        });
        drop(sender);
        let in_order: Vec<_> = (0..5).map(|number| (number, 0)).collect();
        assert_eq!(order.iter().collect::<Vec<_>>(), in_order);
    }

    #[test]
    fn who_breaks_off_leaves_the_line_to_others() {
        let model = Arc::new(Scripted::new([ScriptedReply::text("Me.")]));
        let turns = Arc::new(Turns::new(1));
        let bounded = Bounded::new(model.clone(), turns.clone());
        let taken = turns.wait(&mut go_on).unwrap();
        let mut asked = 0;
        let reply = bounded.chat(&ChatRequest::default(), &mut |delta| {
            assert_eq!(delta, ChatDelta::Text(String::new()));
            asked += 1;
            if asked == 3 { ControlFlow::Break(()) } else { go_on() }
        });
        let reply = reply.unwrap();
        assert_eq!((reply.finish, asked, model.requests().len()), (FinishReason::Cancelled, 3, 0));
        drop(taken);
        let reply = bounded.chat(&ChatRequest::default(), &mut |_| go_on()).unwrap();
        assert_eq!(reply.text, "Me.");
        assert_eq!(turns.lock().free, 1);
    }

    #[test]
    fn a_panic_gives_its_turn_back() {
        let turns = Turns::new(1);
        thread::scope(|scope| {
            let panics = || {
                let _turn = turns.wait(&mut go_on);
                panic!("a model may");
            };
            assert!(scope.spawn(panics).join().is_err());
        });
        assert!(turns.wait(&mut go_on).is_some());
    }
}
