//! Standard input and output: cat, the line filter, and the composed pair.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegate_wasi::WasiCtx;
use tidegate_wasi::io::{BytesInput, Capture, Input, Read, Readiness};

use crate::{ENGINES, bytes, run};

#[tokio::test]
async fn cat_copies_a_big_input_whichever_way_it_does_it() {
    for kind in ENGINES {
        for (mode, size) in [("forward", ""), ("copy", "65536"), ("copy", "1000")] {
            let sent = bytes(8 << 20);
            let kept = Capture::new(usize::MAX);
            let words = ["cat", mode, size];
            let builder = WasiCtx::builder()
                .args(words.into_iter().filter(|word| !word.is_empty()))
                .stdin(BytesInput::new(sent.clone()))
                .stdout(kept.clone());
            let ended = run(kind, "cat-p3.wasm", builder).await.unwrap();
            assert_eq!(ended, Ok(()), "{kind:?} {mode}");
            assert!(kept.contents() == sent, "{kind:?} {mode}");
        }
    }
}

/// An input that knows how much it was asked for at once.
struct Asked(BytesInput, Arc<AtomicUsize>);

impl Input for Asked {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        self.1.fetch_max(buf.len(), Ordering::Relaxed);
        self.0.try_read(buf)
    }

    fn ready(&mut self) -> Readiness {
        self.0.ready()
    }
}

#[tokio::test]
async fn longest_buffer_there_can_be_is_filled_in_turns() {
    for kind in ENGINES {
        let sent = bytes(3 << 20);
        let kept = Capture::new(usize::MAX);
        let longest = Arc::new(AtomicUsize::new(0));
        let builder = WasiCtx::builder()
            .args(["cat", "copy", "268435455"])
            .stdin(Asked(BytesInput::new(sent.clone()), Arc::clone(&longest)))
            .stdout(kept.clone());
        let ended = run(kind, "cat-p3.wasm", builder).await.unwrap();
        assert_eq!(ended, Ok(()), "{kind:?}");
        assert!(kept.contents() == sent, "{kind:?}");
        assert!(longest.load(Ordering::Relaxed) <= 256 * 1024, "{longest:?}");
    }
}

#[tokio::test]
async fn cat_says_what_is_wrong_with_its_arguments() {
    for kind in ENGINES {
        let said = Capture::new(1000);
        let builder = WasiCtx::builder()
            .args(["cat", "sideways"])
            .stderr(said.clone());
        assert_eq!(run(kind, "cat-p3.wasm", builder).await.unwrap(), Err(()));
        assert_eq!(
            said.contents(),
            b"`sideways` is neither `forward` nor `copy`\n"
        );
    }
}

#[tokio::test]
async fn filter_prints_the_lines_that_contain_the_word() {
    for kind in ENGINES {
        let text: String = (0..20_000)
            .map(|n| match n % 1000 {
                7 => format!("the tide turns {n}\n"),
                _ => format!("nothing here {n}\n"),
            })
            .chain(["tide at last".to_owned()])
            .collect();
        let expected: String = (0..20)
            .map(|k| format!("{}:the tide turns {}\n", k * 1000 + 8, k * 1000 + 7))
            .chain(["20001:tide at last\n".to_owned()])
            .collect();
        let kept = Capture::new(usize::MAX);
        let builder = WasiCtx::builder()
            .args(["lines", "tide"])
            .stdin(BytesInput::new(text.into_bytes()))
            .stdout(kept.clone());
        assert_eq!(run(kind, "lines-p3.wasm", builder).await.unwrap(), Ok(()));
        assert_eq!(String::from_utf8(kept.contents()).unwrap(), expected);
    }
}

#[tokio::test]
async fn composed_components_pass_values_bytes_and_streams_to_each_other() {
    for kind in ENGINES {
        let kept = Capture::new(usize::MAX);
        let said = Capture::new(1000);
        let builder = WasiCtx::builder()
            .args(["pair", "1000", "300000"])
            .stdin(BytesInput::new(b"and now in capitals\n".repeat(10_000)))
            .stdout(kept.clone())
            .stderr(said.clone());
        let ended = run(kind, "pair-p3.wasm", builder).await.unwrap();
        assert_eq!(
            ended,
            Ok(()),
            "{}",
            String::from_utf8_lossy(&said.contents())
        );
        let contents = kept.contents();
        let (head, tail) = contents.split_at(contents.len() - 200_000);
        let head = std::str::from_utf8(head).unwrap();
        assert!(
            head.starts_with("1000 readings, levels 1000\n300000 bytes, sum "),
            "{head}"
        );
        assert!(tail == b"AND NOW IN CAPITALS\n".repeat(10_000));
    }
}
