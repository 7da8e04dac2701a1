//! Whether the machine code in a file may be executed.

use anyhow::{Result, bail};
use std::fs::Metadata;

/// Checks that only this user, or the system's administrator, can have written a file.
///
/// Precompiled code is executed as it stands, so loading it is like starting a program: whoever wrote it can do whatever this user can.
/// On Unix the file's owner and permissions are checked; elsewhere the user's choice of the file is all there is.
///
/// # Errors
/// Says who else could have written it, and what to do.
#[cfg(unix)]
pub fn check(file: &Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    const WRITABLE_BY_OTHERS: u32 = 0o022;
    let owner = file.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        bail!("it is precompiled code of another user, which could do whatever you can");
    }
    if file.mode() & WRITABLE_BY_OTHERS != 0 {
        bail!("it is precompiled code that others may write to (`chmod go-w` forbids it)");
    }
    Ok(())
}

#[cfg(not(unix))]
pub fn check(_: &Metadata) -> Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn refuses_what_others_may_write() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let check_mode = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            file.as_file().set_permissions(permissions).unwrap();
            check(&file.as_file().metadata().unwrap()).is_ok()
        };
        assert!(check_mode(0o644));
        assert!(check_mode(0o755));
        assert!(!check_mode(0o664));
        assert!(!check_mode(0o646));
    }
}
