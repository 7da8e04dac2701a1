//! The lines of a recording, and the choices that they make.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use tidegate_core::runtime::{Choice, Chooser, ThreadId, WaitableId};

/// Why a replay ends.
#[derive(Debug)]
pub enum End {
    /// The recording does.
    Over,
    /// It says something else than what happened.
    Differs(String),
}

pub struct Trace {
    lines: Vec<Vec<String>>,
    at: usize,
    error: Option<String>,
    pub serials: HashMap<ThreadId, u64>,
    pub indices: HashMap<WaitableId, u64>,
}

pub type Shared = Rc<RefCell<Trace>>;

impl Trace {
    pub fn new(text: &str) -> Self {
        Self {
            lines: text
                .lines()
                .map(|line| line.split(' ').map(String::from).collect())
                .collect(),
            at: 0,
            error: None,
            serials: HashMap::new(),
            indices: HashMap::new(),
        }
    }

    /// The next line, if the recording has not ended and no choice went wrong.
    pub fn next(&mut self) -> Result<Vec<String>, End> {
        if let Some(error) = self.error.take() {
            return Err(End::Differs(error));
        }
        let line = self.lines.get(self.at).cloned().ok_or(End::Over)?;
        if matches!(line[0].as_str(), "stop" | "abandon") {
            return Err(End::Over);
        }
        self.at += 1;
        Ok(line)
    }

    pub fn differs<T>(&self, what: impl std::fmt::Display) -> Result<T, End> {
        let from = self.at.saturating_sub(12);
        let context: Vec<String> = self.lines[from..self.at]
            .iter()
            .map(|line| line.join(" "))
            .collect();
        Err(End::Differs(format!(
            "line {}: {what}\n    {}",
            self.at + 1,
            context.join("\n    ")
        )))
    }

    /// The next line must begin with these words, and end with these numbers.
    pub fn expect(&mut self, words: &[&str], numbers: &[u64]) -> Result<(), End> {
        let line = self.next()?;
        let mut expected: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        expected.extend(numbers.iter().map(u64::to_string));
        if line != expected {
            return self.differs(format!("here `{}` happened", expected.join(" ")));
        }
        Ok(())
    }

    /// A trap has happened here: the recording must end with one.
    pub fn trapped<T>(&mut self, trap: impl std::fmt::Display) -> Result<T, End> {
        match self.next()?.as_slice() {
            [word] if word == "trap" => Err(End::Over),
            _ => self.differs(format!("here this trap happened: {trap}")),
        }
    }
}

/// Makes the choices that the reference made.
pub struct Recorded(pub Shared);

impl Chooser for Recorded {
    fn choose(&mut self, choice: Choice<'_>) -> usize {
        let mut trace = self.0.borrow_mut();
        let Ok(line) = trace.next() else {
            return 0;
        };
        let numbers: Vec<u64> = line.iter().skip(2).filter_map(|n| n.parse().ok()).collect();
        let kind = line.get(1).map_or("", String::as_str);
        let candidates = match choice {
            Choice::BlockThoughReady { .. } => {
                if line[0] == "pick" && kind == "block" {
                    return numbers[0] as usize;
                }
                Vec::new()
            }
            Choice::ReadyThread(threads) | Choice::CancelledThread(threads) => {
                threads.iter().map(|id| trace.serials[id]).collect()
            }
            Choice::Event(waitables) => waitables.iter().map(|id| trace.indices[id]).collect(),
        };
        let mut sorted: Vec<u64> = candidates.clone();
        sorted.sort_unstable();
        if line[0] == "pick"
            && numbers.get(1..) == Some(&sorted[..])
            && let Some(position) = candidates.iter().position(|&c| c == numbers[0])
        {
            return position;
        }
        let what = format!("here a choice was made: {choice:?}, of {candidates:?}");
        if let Err(End::Differs(error)) = trace.differs::<()>(what) {
            trace.error = Some(error);
        }
        0
    }
}
