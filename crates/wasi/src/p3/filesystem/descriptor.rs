//! `descriptor`.

use std::result::Result as StdResult;
use std::sync::Arc;

use tidegate::{Access, Accessor, FutureReader, Resource, Result, StreamReader};

use super::super::bindings::wasi::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};
use super::super::stream::{self, Ending};
use super::Answer;
use super::entries::Listed;
use crate::fs::{Dir, ErrorCode, OpenOptions, Opened, Preopen};
use crate::io::{FileInput, FileOutput, off_thread};
use crate::view::{Wasi, WasiCtxView};

/// An open file or directory.
#[derive(Debug, Clone)]
pub struct Descriptor {
    opened: Opened,
    /// Whether the guest asked to change what is below a directory.
    mutate_directory: bool,
}

impl Descriptor {
    pub(super) fn preopened(preopen: &Preopen) -> Self {
        Self {
            opened: Opened::Dir(preopen.dir().clone()),
            mutate_directory: true,
        }
    }

    fn flags(&self) -> DescriptorFlags {
        let mut flags = DescriptorFlags::empty();
        flags.set(DescriptorFlags::READ, self.opened.may_read());
        flags.set(DescriptorFlags::WRITE, self.opened.may_write());
        flags.set(
            DescriptorFlags::MUTATE_DIRECTORY,
            self.mutate_directory && self.opened.may_mutate_directory(),
        );
        flags
    }
}

/// A handle to a descriptor.
type Handle = Resource<Descriptor>;

impl WasiCtxView<'_> {
    fn opened(&self, descriptor: &Handle) -> Answer<&Opened> {
        Ok(&self.table.get(descriptor)?.opened)
    }

    fn opened_dir(&self, descriptor: &Handle) -> Answer<&Arc<Dir>> {
        Ok(self.opened(descriptor)?.dir()?)
    }
}

/// Does something that may take as long as the device does, in a thread.
async fn on_device<T: Send + 'static>(
    accessor: &Accessor<T, Wasi>,
    descriptor: Handle,
    work: fn(&Opened) -> StdResult<(), ErrorCode>,
) -> Answer<()> {
    let descriptor = accessor.with(|mut access| access.get().table.get(&descriptor).cloned())??;
    let done = off_thread(move || work(&descriptor.opened));
    done.ready().await;
    // Ready means that it is there.
    Ok(done.answer().copied().unwrap_or(Err(ErrorCode::Io))?)
}

impl types::HostDescriptor<Wasi> for WasiCtxView<'_> {
    fn read_via_stream<T: Send + 'static>(
        mut access: Access<'_, T, Wasi>,
        descriptor: Handle,
        offset: u64,
    ) -> Result<(StreamReader<u8>, FutureReader<Ending<types::ErrorCode>>)> {
        let file = access.get().table.get(&descriptor)?.opened.readable();
        let input = file.map(|file| FileInput::new(file, offset));
        stream::read(access, input.map_err(types::ErrorCode::from))
    }

    fn write_via_stream<T: Send + 'static>(
        mut access: Access<'_, T, Wasi>,
        descriptor: Handle,
        data: StreamReader<u8>,
        offset: u64,
    ) -> Result<FutureReader<Ending<types::ErrorCode>>> {
        let file = access.get().table.get(&descriptor)?.opened.writable();
        let output = file.map(|file| FileOutput::at(file, offset));
        stream::write(access, data, output.map_err(types::ErrorCode::from))
    }

    fn append_via_stream<T: Send + 'static>(
        mut access: Access<'_, T, Wasi>,
        descriptor: Handle,
        data: StreamReader<u8>,
    ) -> Result<FutureReader<Ending<types::ErrorCode>>> {
        let file = access.get().table.get(&descriptor)?.opened.writable();
        let output = file.map(FileOutput::append);
        stream::write(access, data, output.map_err(types::ErrorCode::from))
    }

    fn advise(
        &mut self,
        descriptor: Handle,
        offset: u64,
        length: u64,
        advice: types::Advice,
    ) -> Answer<()> {
        let descriptor = self.opened(&descriptor)?;
        Ok(descriptor.advise(offset, length, advice.into())?)
    }

    async fn sync_data<T: Send + 'static>(
        accessor: &Accessor<T, Wasi>,
        descriptor: Handle,
    ) -> Answer<()> {
        on_device(accessor, descriptor, Opened::sync_data).await
    }

    fn get_flags(&mut self, descriptor: Handle) -> Answer<DescriptorFlags> {
        Ok(self.table.get(&descriptor)?.flags())
    }

    fn get_type(&mut self, descriptor: Handle) -> Answer<DescriptorType> {
        Ok(self.opened(&descriptor)?.file_type().into())
    }

    fn set_size(&mut self, descriptor: Handle, size: u64) -> Answer<()> {
        Ok(self.opened(&descriptor)?.file()?.set_size(size)?)
    }

    fn set_times(
        &mut self,
        descriptor: Handle,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Answer<()> {
        let descriptor = self.opened(&descriptor)?;
        Ok(descriptor.set_times(accessed.into(), modified.into())?)
    }

    fn read_directory<T: Send + 'static>(
        mut access: Access<'_, T, Wasi>,
        descriptor: Handle,
    ) -> Result<(
        StreamReader<DirectoryEntry>,
        FutureReader<Ending<types::ErrorCode>>,
    )> {
        let entries = access.get().table.get(&descriptor)?.opened.entries();
        let entries = entries.map_err(types::ErrorCode::from);
        stream::produce(access, entries, Listed::new)
    }

    async fn sync<T: Send + 'static>(
        accessor: &Accessor<T, Wasi>,
        descriptor: Handle,
    ) -> Answer<()> {
        on_device(accessor, descriptor, Opened::sync).await
    }

    fn create_directory_at(&mut self, descriptor: Handle, path: String) -> Answer<()> {
        Ok(self.opened_dir(&descriptor)?.create_dir(&path)?)
    }

    fn stat(&mut self, descriptor: Handle) -> Answer<DescriptorStat> {
        Ok(self.opened(&descriptor)?.stat()?.into())
    }

    fn stat_at(
        &mut self,
        descriptor: Handle,
        flags: PathFlags,
        path: String,
    ) -> Answer<DescriptorStat> {
        let stat = self
            .opened_dir(&descriptor)?
            .stat_at(&path, follow(flags))?;
        Ok(stat.into())
    }

    fn set_times_at(
        &mut self,
        descriptor: Handle,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Answer<()> {
        let dir = self.opened_dir(&descriptor)?;
        Ok(dir.set_times_at(&path, follow(flags), accessed.into(), modified.into())?)
    }

    fn link_at(
        &mut self,
        descriptor: Handle,
        flags: PathFlags,
        old_path: String,
        new_descriptor: Handle,
        new_path: String,
    ) -> Answer<()> {
        let (from, to) = (self.opened(&descriptor)?, self.opened(&new_descriptor)?);
        Ok(from.link_at(follow(flags), &old_path, to, &new_path)?)
    }

    fn open_at(
        &mut self,
        descriptor: Handle,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Handle> {
        let mutate_directory = flags.contains(DescriptorFlags::MUTATE_DIRECTORY);
        let opened = self.opened(&descriptor)?.open_at(
            &path,
            &options(path_flags, open_flags, flags),
            mutate_directory,
        )?;
        Ok(self.table.push(Descriptor {
            opened,
            mutate_directory,
        })?)
    }

    fn readlink_at(&mut self, descriptor: Handle, path: String) -> Answer<String> {
        Ok(self.opened_dir(&descriptor)?.read_link(&path)?)
    }

    fn remove_directory_at(&mut self, descriptor: Handle, path: String) -> Answer<()> {
        Ok(self.opened_dir(&descriptor)?.remove_dir(&path)?)
    }

    fn rename_at(
        &mut self,
        descriptor: Handle,
        old_path: String,
        new_descriptor: Handle,
        new_path: String,
    ) -> Answer<()> {
        let from = self.opened_dir(&descriptor)?;
        let to = self.opened_dir(&new_descriptor)?;
        Ok(from.rename(&old_path, to, &new_path)?)
    }

    fn symlink_at(&mut self, descriptor: Handle, old_path: String, new_path: String) -> Answer<()> {
        Ok(self.opened(&descriptor)?.symlink_at(&old_path, &new_path)?)
    }

    fn unlink_file_at(&mut self, descriptor: Handle, path: String) -> Answer<()> {
        Ok(self.opened_dir(&descriptor)?.unlink(&path)?)
    }

    fn is_same_object(&mut self, descriptor: Handle, other: Handle) -> Result<bool> {
        let (one, other) = (self.table.get(&descriptor)?, self.table.get(&other)?);
        Ok(one.opened.is_same_object(&other.opened))
    }

    fn metadata_hash(&mut self, descriptor: Handle) -> Answer<MetadataHashValue> {
        Ok(self.opened(&descriptor)?.metadata_hash()?.into())
    }

    fn metadata_hash_at(
        &mut self,
        descriptor: Handle,
        flags: PathFlags,
        path: String,
    ) -> Answer<MetadataHashValue> {
        let stat = self
            .opened_dir(&descriptor)?
            .stat_at(&path, follow(flags))?;
        Ok(stat.metadata_hash().into())
    }

    fn drop(&mut self, descriptor: Handle) -> Result<()> {
        self.table.delete(descriptor)?;
        Ok(())
    }
}

fn options(path: PathFlags, open: OpenFlags, flags: DescriptorFlags) -> OpenOptions {
    OpenOptions {
        // What is opened for nothing is opened for reading, and what is created can be written.
        read: flags.contains(DescriptorFlags::READ) || !flags.contains(DescriptorFlags::WRITE),
        write: flags.contains(DescriptorFlags::WRITE) || open.contains(OpenFlags::CREATE),
        append: false,
        create: open.contains(OpenFlags::CREATE),
        exclusive: open.contains(OpenFlags::EXCLUSIVE),
        truncate: open.contains(OpenFlags::TRUNCATE),
        directory: open.contains(OpenFlags::DIRECTORY),
        follow: follow(path),
        dsync: flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC),
        sync: flags.contains(DescriptorFlags::FILE_INTEGRITY_SYNC),
        rsync: flags.contains(DescriptorFlags::REQUESTED_WRITE_SYNC),
    }
}

fn follow(path: PathFlags) -> bool {
    path.contains(PathFlags::SYMLINK_FOLLOW)
}
