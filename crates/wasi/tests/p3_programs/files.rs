//! The filesystem: the directory walker.

use tidegate_wasi::WasiCtx;
use tidegate_wasi::fs::Access;
use tidegate_wasi::io::Capture;

use crate::{ENGINES, run};

#[tokio::test]
async fn walker_lists_a_whole_tree() {
    let root = tempfile::tempdir().unwrap();
    for n in 0..200 {
        std::fs::write(root.path().join(format!("file-{n:03}")), vec![0; n]).unwrap();
    }
    std::fs::create_dir_all(root.path().join("sub/deep/deeper")).unwrap();
    std::fs::write(root.path().join("sub/deep/deeper/end"), b"end").unwrap();
    std::os::unix::fs::symlink("deep/deeper", root.path().join("sub/link")).unwrap();
    let mut expected: String = (0..200)
        .map(|n| format!("-{n:>12}  /data/file-{n:03}\n"))
        .collect();
    expected += &format!("d{0:>12}  /data/sub\nd{0:>12}  /data/sub/deep\n", "");
    expected += &format!("l{0:>12}  /data/sub/link -> deep/deeper\n", "");
    expected += &format!("d{0:>12}  /data/sub/deep/deeper\n", "");
    expected += &format!("-{:>12}  /data/sub/deep/deeper/end\n", 3);

    for kind in ENGINES {
        let (kept, said) = (Capture::new(usize::MAX), Capture::new(1000));
        let builder = WasiCtx::builder()
            .arg("walk")
            .stdout(kept.clone())
            .stderr(said.clone())
            .preopened_dir(root.path(), "/data", Access::ReadOnly)
            .unwrap();
        let ended = run(kind, "walk-p3.wasm", builder).await.unwrap();
        assert_eq!(
            ended,
            Ok(()),
            "{}",
            String::from_utf8_lossy(&said.contents())
        );
        assert_eq!(String::from_utf8(kept.contents()).unwrap(), expected);
    }
}
