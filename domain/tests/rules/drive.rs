//! Carries out commands on one aggregate and keeps its history.

use domain::Decide;

pub(crate) struct Driven<A: Decide> {
    pub(crate) state: A,
    pub(crate) history: Vec<A::Event>,
}

impl<A: Decide> Driven<A> {
    pub(crate) fn new() -> Self {
        Self { state: A::default(), history: Vec::new() }
    }

    /// The events of the decision, already folded.
    pub(crate) fn ask(&mut self, command: A::Command) -> Result<Vec<A::Event>, A::Error>
    where
        A::Event: Clone,
    {
        let events = self.state.decide(command)?;
        for event in &events {
            self.state.apply(event.clone());
            self.history.push(event.clone());
        }
        // Not each time, for it takes a while.
        if self.history.len().is_power_of_two() {
            self.survives_writing();
        }
        Ok(events)
    }

    /// Whatever comes to be can be kept as a snapshot: it comes back as it was, and always has the same text.
    fn survives_writing(&self) {
        let text = serde_json::to_string(&self.state).unwrap();
        let read: A = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }

    /// The state folded anew from the first `count` events.
    pub(crate) fn folded(&self, count: usize) -> A
    where
        A::Event: Clone,
    {
        let mut state = A::default();
        self.history.iter().take(count).for_each(|event| state.apply(event.clone()));
        state
    }
}
