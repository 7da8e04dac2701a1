//! Asking for pauses at random moments, and timing them.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tidegate::block_on;
use tidegate::interrupt::{InterruptHandle, Outcome};

/// Pauses a call so often, once `begun` says that its guest has begun, and gives how long each pause took to come.
pub fn pauses<F: Future>(
    handle: &InterruptHandle,
    begun: Arc<AtomicBool>,
    times: u32,
    call: F,
) -> Vec<Duration> {
    let asked = Arc::new(Mutex::new(None::<Instant>));
    let (went_on, goes_on) = std::sync::mpsc::channel::<()>();
    let (asking, pausing) = (asked.clone(), handle.clone());
    let asker = thread::spawn(move || {
        while !begun.load(Ordering::Acquire) {
            thread::yield_now();
        }
        let mut random = 88_172_645_463_325_252u64;
        loop {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            thread::sleep(Duration::from_micros(200 + random % 500));
            *asking.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            pausing.pause();
            // If it was asked before the call had gone on, that was paused already: it is asked again.
            if goes_on.recv_timeout(Duration::from_millis(100))
                == Err(RecvTimeoutError::Disconnected)
            {
                return;
            }
        }
    });
    let mut took = Vec::new();
    let mut running = handle.run(call);
    while let Outcome::Paused(paused) = block_on(running) {
        let back = Instant::now();
        let since = asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        took.extend(since.map(|since| back - since));
        if took.len() >= times as usize {
            break;
        }
        // The asker is there until this channel is not.
        let _ = went_on.send(());
        running = paused.resume();
    }
    drop(went_on);
    let _ = asker.join();
    took
}

/// How long a thread of the system takes to go on that another one unparks: what interrupts of guests that wait cannot be quicker than.
pub fn unparks(times: u32) -> Vec<Duration> {
    let asked = Arc::new(Mutex::new(None::<Instant>));
    let asking = asked.clone();
    let parked = thread::current();
    let (went_on, goes_on) = std::sync::mpsc::channel::<()>();
    let asker = thread::spawn(move || {
        let mut random = 1u64;
        while goes_on.recv().is_ok() {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            thread::sleep(Duration::from_micros(200 + (random >> 33) % 500));
            *asking.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            parked.unpark();
        }
    });
    let mut took = Vec::new();
    while took.len() < times as usize && went_on.send(()).is_ok() {
        loop {
            thread::park();
            let back = Instant::now();
            if let Some(since) = asked.lock().unwrap_or_else(PoisonError::into_inner).take() {
                took.push(back - since);
                break;
            }
        }
    }
    drop(went_on);
    let _ = asker.join();
    took
}

/// How long two threads that do nothing else than read the clock are kept from it at most, in each of so many spans of 5 ms: what the machine takes away by itself.
pub fn gaps(times: u32) -> Vec<Duration> {
    const SPAN: Duration = Duration::from_millis(5);
    let spans = |count: u32| {
        let mut longest = Vec::new();
        for _ in 0..count {
            let begun = Instant::now();
            let (mut before, mut gap) = (begun, Duration::ZERO);
            while before - begun < SPAN {
                let now = Instant::now();
                gap = gap.max(now - before);
                before = now;
            }
            longest.push(gap);
        }
        longest
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| spans(times / 2));
        let mut all = spans(times - times / 2);
        all.extend(other.join().unwrap_or_default());
        all
    })
}
