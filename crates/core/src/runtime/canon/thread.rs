//! `thread.*`.

use super::super::{
    Chooser, InstanceId, Offence, Parked, Resumed, Run, State, ThreadId, Until, limits,
};
use crate::trap::Trap;

/// What a built-in does that suspends or yields.
#[must_use]
#[derive(Debug)]
pub enum ThreadStep {
    /// It returns whether the task was cancelled: 0 or 1.
    Return(u32),
    /// The thread is off; its caller goes on.
    Block,
    /// The thread is off, and this one runs in its stead, with the same caller.
    Switch(Resumed),
}

impl State {
    /// `thread.index`: the current thread's index.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-threadindex).
    ///
    /// # Errors
    /// May not leave.
    pub fn thread_index(&self, instance: InstanceId) -> Result<u32, Trap> {
        self.check_may_leave(instance)?;
        let thread = self.current()?;
        Ok(self.threads[thread.0].index)
    }

    /// `thread.new-indirect`, after the function was found in its table and its type checked; before that,
    /// [`check_may_leave`](State::check_may_leave). The thread belongs to the current task and is suspended; when it is resumed first
    /// ([`StartThread`](super::super::Action::StartThread)), the driver runs the function.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-threadnew-indirect).
    ///
    /// # Errors
    /// May not leave; too many threads.
    pub fn thread_new_indirect(&mut self, instance: InstanceId) -> Result<(ThreadId, u32), Trap> {
        self.check_may_leave(instance)?;
        let task = self.current_task()?;
        limits::check(
            self.instance(instance).threads.len(),
            self.limits.threads,
            "threads",
            "max-threads",
        )?;
        let thread = self.new_thread(task)?;
        let index = self.instance_mut(instance).threads.add(thread)?;
        self.threads[thread.0].index = index;
        self.tasks[task.0].explicit_threads.push(thread);
        Ok((thread, index))
    }

    fn suspended_at(
        &self,
        name: &'static str,
        instance: InstanceId,
        index: u32,
    ) -> Result<ThreadId, Trap> {
        let other = self.thread_at(instance, index)?;
        if self.threads[other.0].run != Run::Suspended {
            return Err(Offence::NotSuspended.at(name));
        }
        Ok(other)
    }

    /// `thread.resume-later`: a suspended thread will go on some time.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-threadresume-later).
    ///
    /// # Errors
    /// May not leave; unknown index; not suspended.
    pub fn thread_resume_later(&mut self, instance: InstanceId, index: u32) -> Result<(), Trap> {
        self.check_may_leave(instance)?;
        let other = self.suspended_at("thread.resume-later", instance, index)?;
        self.start_waiting(other, Until::Now);
        Ok(())
    }

    /// `thread.suspend`: until another thread resumes this one.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-threadsuspend).
    ///
    /// # Errors
    /// May not leave.
    pub fn thread_suspend(
        &mut self,
        instance: InstanceId,
        cancellable: bool,
    ) -> Result<ThreadStep, Trap> {
        self.check_may_leave(instance)?;
        let thread = self.current()?;
        Ok(self.suspend(thread, cancellable))
    }

    fn suspend(&mut self, thread: ThreadId, cancellable: bool) -> ThreadStep {
        if self.cancelled_now(thread, cancellable) {
            return ThreadStep::Return(1);
        }
        self.block(thread, Parked::Suspended, cancellable);
        ThreadStep::Block
    }

    /// `thread.yield`: lets others run.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-threadyield).
    ///
    /// # Errors
    /// May not leave.
    pub fn thread_yield(
        &mut self,
        instance: InstanceId,
        cancellable: bool,
        chooser: &mut dyn Chooser,
    ) -> Result<ThreadStep, Trap> {
        self.check_may_leave(instance)?;
        let thread = self.current()?;
        Ok(self.yield_(thread, cancellable, chooser))
    }

    fn yield_(
        &mut self,
        thread: ThreadId,
        cancellable: bool,
        chooser: &mut dyn Chooser,
    ) -> ThreadStep {
        match self.wait_until(thread, Until::Now, Parked::Suspended, cancellable, chooser) {
            Some(cancelled) => ThreadStep::Return(cancelled.into()),
            None => ThreadStep::Block,
        }
    }

    /// `thread.suspend-then-resume`: a suspended thread takes the place of this one, which is suspended.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-threadsuspend-then-resume).
    ///
    /// # Errors
    /// May not leave; unknown index; not suspended.
    pub fn thread_suspend_then_resume(
        &mut self,
        instance: InstanceId,
        cancellable: bool,
        index: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<ThreadStep, Trap> {
        self.check_may_leave(instance)?;
        let other = self.suspended_at("thread.suspend-then-resume", instance, index)?;
        let thread = self.current()?;
        if self.cancelled_now(thread, cancellable) {
            return Ok(ThreadStep::Return(1));
        }
        Ok(self.switch(thread, cancellable, other, chooser))
    }

    /// `thread.yield-then-resume`: a suspended thread takes the place of this one, which will go on some time.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-threadyield-then-resume).
    ///
    /// # Errors
    /// May not leave; unknown index; not suspended.
    pub fn thread_yield_then_resume(
        &mut self,
        instance: InstanceId,
        cancellable: bool,
        index: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<ThreadStep, Trap> {
        self.check_may_leave(instance)?;
        let other = self.suspended_at("thread.yield-then-resume", instance, index)?;
        let thread = self.current()?;
        if self.cancelled_now(thread, cancellable) {
            return Ok(ThreadStep::Return(1));
        }
        self.start_waiting(thread, Until::Now);
        Ok(self.switch(thread, cancellable, other, chooser))
    }

    /// `thread.suspend-then-promote`: this thread is suspended; another one takes its place if it is ready.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-threadsuspend-then-promote).
    ///
    /// # Errors
    /// May not leave; unknown index.
    pub fn thread_suspend_then_promote(
        &mut self,
        instance: InstanceId,
        cancellable: bool,
        index: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<ThreadStep, Trap> {
        self.check_may_leave(instance)?;
        let other = self.thread_at(instance, index)?;
        let thread = self.current()?;
        if self.cancelled_now(thread, cancellable) {
            return Ok(ThreadStep::Return(1));
        }
        if self.is_ready(other) {
            return Ok(self.switch(thread, cancellable, other, chooser));
        }
        Ok(self.suspend(thread, cancellable))
    }

    /// `thread.yield-then-promote`: this thread will go on some time; another one takes its place if it is ready.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-threadyield-then-promote).
    ///
    /// # Errors
    /// May not leave; unknown index.
    pub fn thread_yield_then_promote(
        &mut self,
        instance: InstanceId,
        cancellable: bool,
        index: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<ThreadStep, Trap> {
        self.check_may_leave(instance)?;
        let other = self.thread_at(instance, index)?;
        let thread = self.current()?;
        if self.cancelled_now(thread, cancellable) {
            return Ok(ThreadStep::Return(1));
        }
        if self.is_ready(other) {
            self.start_waiting(thread, Until::Now);
            return Ok(self.switch(thread, cancellable, other, chooser));
        }
        Ok(self.yield_(thread, cancellable, chooser))
    }

    fn cancelled_now(&mut self, thread: ThreadId, cancellable: bool) -> bool {
        let task = self.threads[thread.0].task;
        self.deliver_pending_cancel(task, cancellable)
    }

    /// `Thread.switch_to_internal`: the frame of one thread goes on with another.
    fn switch(
        &mut self,
        thread: ThreadId,
        cancellable: bool,
        other: ThreadId,
        chooser: &mut dyn Chooser,
    ) -> ThreadStep {
        self.park(thread, Parked::Suspended, cancellable);
        if let Some(frame) = self.frames.last_mut() {
            frame.thread = other;
        }
        ThreadStep::Switch(self.resumed(other, false, chooser))
    }
}
