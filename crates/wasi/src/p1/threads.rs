//! One program, several threads.

use std::sync::{Arc, Mutex, PoisonError};

use super::Preview1;
use super::outcome::Resume;

/// A guest's view of WASI 0.1, or a thread's.
pub trait Process: 'static {
    /// Runs `f`, which does not wait, with the view.
    fn with<R>(&mut self, f: impl FnOnce(&mut Preview1) -> R) -> R;
}

impl Process for Preview1 {
    fn with<R>(&mut self, f: impl FnOnce(&mut Preview1) -> R) -> R {
        f(self)
    }
}

/// What one thread of a program sees: descriptors and everything else are those of all threads. A clone is for another thread.
pub struct ThreadPreview1 {
    process: Arc<Mutex<Preview1>>,
    /// Where this thread's call stands that waits.
    resume: Resume,
}

impl ThreadPreview1 {
    /// For the first thread of a program.
    pub fn new(process: Preview1) -> Self {
        Self {
            process: Arc::new(Mutex::new(process)),
            resume: Resume::default(),
        }
    }
}

impl Clone for ThreadPreview1 {
    fn clone(&self) -> Self {
        Self {
            process: self.process.clone(),
            resume: Resume::default(),
        }
    }
}

impl Process for ThreadPreview1 {
    fn with<R>(&mut self, f: impl FnOnce(&mut Preview1) -> R) -> R {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut process.resume, &mut self.resume);
        let result = f(&mut process);
        std::mem::swap(&mut process.resume, &mut self.resume);
        result
    }
}
