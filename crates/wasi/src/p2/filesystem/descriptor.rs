//! `descriptor`.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use tidegate::{Resource, Result};

use super::super::bindings::wasi::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, MetadataHashValue, NewTimestamp,
    OpenFlags, PathFlags,
};
use super::super::error::FsFault;
use super::super::view::WasiCtxView;
use super::{Answer, DirectoryEntryStream};
use crate::fs::{Dir, ErrorCode, File, FileType, OpenOptions, Opened, Stat};
use crate::io::{FileInput, FileOutput, InputStream, OutputStream, READ_CHUNK, SharedOutput};

/// An open file or directory.
#[derive(Debug, Clone)]
pub enum Descriptor {
    /// Anything but a directory.
    File(Arc<File>),
    /// A directory.
    Dir(Arc<Dir>),
}

impl Descriptor {
    fn file(&self) -> std::result::Result<&Arc<File>, ErrorCode> {
        match self {
            Self::File(file) => Ok(file),
            Self::Dir(_) => Err(ErrorCode::IsDirectory),
        }
    }

    fn dir(&self) -> std::result::Result<&Arc<Dir>, ErrorCode> {
        match self {
            Self::Dir(dir) => Ok(dir),
            Self::File(_) => Err(ErrorCode::NotDirectory),
        }
    }

    fn stat(&self) -> std::result::Result<Stat, ErrorCode> {
        match self {
            Self::File(file) => file.stat(),
            Self::Dir(dir) => dir.stat(),
        }
    }

    fn flags(&self) -> DescriptorFlags {
        let mut flags = DescriptorFlags::empty();
        match self {
            Self::File(file) => {
                if file.may_read() {
                    flags |= DescriptorFlags::READ;
                }
                if file.may_write() {
                    flags |= DescriptorFlags::WRITE;
                }
            }
            Self::Dir(dir) => {
                flags |= DescriptorFlags::READ;
                if dir.access().may_write() {
                    flags |= DescriptorFlags::MUTATE_DIRECTORY;
                }
            }
        }
        flags
    }
}

/// The size of the reads that make up a stream is the stream's affair; this is for `read` alone.
fn clamp(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX).min(READ_CHUNK)
}

fn options(path: PathFlags, open: OpenFlags, flags: DescriptorFlags) -> OpenOptions {
    OpenOptions {
        read: flags.contains(DescriptorFlags::READ),
        write: flags.contains(DescriptorFlags::WRITE),
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

impl WasiCtxView<'_> {
    fn descriptor(&self, descriptor: &Resource<Descriptor>) -> Answer<&Descriptor> {
        Ok(self.table.get(descriptor)?)
    }

    fn file(&self, descriptor: &Resource<Descriptor>) -> Answer<&Arc<File>> {
        Ok(self.table.get(descriptor)?.file()?)
    }

    fn dir(&self, descriptor: &Resource<Descriptor>) -> Answer<&Arc<Dir>> {
        Ok(self.table.get(descriptor)?.dir()?)
    }

    /// A stream that writes to a file. It is done before it returns, so nothing is ever on its way
    /// at the end of a run, except into pipes.
    fn push_file_output(&mut self, output: FileOutput) -> Answer<Resource<OutputStream>> {
        let output = SharedOutput::new(output).counted_by(&self.ctx.drains);
        self.push_output(output).map_err(FsFault::Trap)
    }
}

fn writable(file: &Arc<File>) -> std::result::Result<Arc<File>, ErrorCode> {
    if file.may_write() {
        Ok(Arc::clone(file))
    } else {
        Err(ErrorCode::BadDescriptor)
    }
}

impl types::HostDescriptor for WasiCtxView<'_> {
    fn read_via_stream(
        &mut self,
        descriptor: Resource<Descriptor>,
        offset: u64,
    ) -> Answer<Resource<InputStream>> {
        let file = self.file(&descriptor)?;
        if !file.may_read() {
            return Err(ErrorCode::BadDescriptor.into());
        }
        let input = FileInput::new(Arc::clone(file), offset);
        Ok(self.table.push(InputStream::new(input))?)
    }

    fn write_via_stream(
        &mut self,
        descriptor: Resource<Descriptor>,
        offset: u64,
    ) -> Answer<Resource<OutputStream>> {
        let file = writable(self.file(&descriptor)?)?;
        self.push_file_output(FileOutput::at(file, offset))
    }

    fn append_via_stream(
        &mut self,
        descriptor: Resource<Descriptor>,
    ) -> Answer<Resource<OutputStream>> {
        let file = writable(self.file(&descriptor)?)?;
        self.push_file_output(FileOutput::append(file))
    }

    fn advise(
        &mut self,
        descriptor: Resource<Descriptor>,
        offset: u64,
        length: u64,
        advice: types::Advice,
    ) -> Answer<()> {
        let file = match self.descriptor(&descriptor)? {
            Descriptor::File(file) => file,
            Descriptor::Dir(_) => return Err(ErrorCode::BadDescriptor.into()),
        };
        Ok(file.advise(offset, length, advice.into())?)
    }

    fn sync_data(&mut self, descriptor: Resource<Descriptor>) -> Answer<()> {
        match self.descriptor(&descriptor)? {
            Descriptor::File(file) if file.may_write() => ignore_unsyncable(file.sync_data()),
            Descriptor::File(_) => Ok(()),
            Descriptor::Dir(dir) => Ok(dir.sync()?),
        }
    }

    fn get_flags(&mut self, descriptor: Resource<Descriptor>) -> Answer<DescriptorFlags> {
        Ok(self.descriptor(&descriptor)?.flags())
    }

    fn get_type(&mut self, descriptor: Resource<Descriptor>) -> Answer<DescriptorType> {
        Ok(match self.descriptor(&descriptor)? {
            Descriptor::File(file) => file.file_type().into(),
            Descriptor::Dir(_) => FileType::Directory.into(),
        })
    }

    fn set_size(&mut self, descriptor: Resource<Descriptor>, size: u64) -> Answer<()> {
        Ok(self.file(&descriptor)?.set_size(size)?)
    }

    fn set_times(
        &mut self,
        descriptor: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Answer<()> {
        let (accessed, modified) = (accessed.try_into()?, modified.try_into()?);
        match self.descriptor(&descriptor)? {
            Descriptor::File(file) => Ok(file.set_times(accessed, modified)?),
            Descriptor::Dir(dir) => Ok(dir.set_times(accessed, modified)?),
        }
    }

    /// Reads at most 64 KiB at once. The flag says that the end was met: there is nothing beyond
    /// what was returned.
    fn read(
        &mut self,
        descriptor: Resource<Descriptor>,
        length: u64,
        offset: u64,
    ) -> Answer<(Vec<u8>, bool)> {
        let file = self.file(&descriptor)?;
        let mut bytes = vec![0; clamp(length)];
        let count = file.read_at(&mut [IoSliceMut::new(&mut bytes)], offset)?;
        let at_end = count < bytes.len();
        bytes.truncate(count);
        Ok((bytes, at_end))
    }

    fn write(
        &mut self,
        descriptor: Resource<Descriptor>,
        buffer: Vec<u8>,
        offset: u64,
    ) -> Answer<u64> {
        let file = self.file(&descriptor)?;
        Ok(file.write_at(&[IoSlice::new(&buffer)], offset)? as u64)
    }

    fn read_directory(
        &mut self,
        descriptor: Resource<Descriptor>,
    ) -> Answer<Resource<DirectoryEntryStream>> {
        let listing = self.dir(&descriptor)?.list()?;
        Ok(self.table.push(DirectoryEntryStream::new(listing))?)
    }

    fn sync(&mut self, descriptor: Resource<Descriptor>) -> Answer<()> {
        match self.descriptor(&descriptor)? {
            Descriptor::File(file) if file.may_write() => ignore_unsyncable(file.sync()),
            Descriptor::File(_) => Ok(()),
            Descriptor::Dir(dir) => Ok(dir.sync()?),
        }
    }

    fn create_directory_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path: String,
    ) -> Answer<()> {
        Ok(self.dir(&descriptor)?.create_dir(&path)?)
    }

    fn stat(&mut self, descriptor: Resource<Descriptor>) -> Answer<DescriptorStat> {
        Ok(self.descriptor(&descriptor)?.stat()?.into())
    }

    fn stat_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> Answer<DescriptorStat> {
        let stat = self.dir(&descriptor)?.stat_at(&path, follow(flags))?;
        Ok(stat.into())
    }

    fn set_times_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Answer<()> {
        let (accessed, modified) = (accessed.try_into()?, modified.try_into()?);
        let dir = self.dir(&descriptor)?;
        Ok(dir.set_times_at(&path, follow(flags), accessed, modified)?)
    }

    /// Links to a symbolic link itself; following one is refused, as nothing would say where to.
    fn link_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        flags: PathFlags,
        old_path: String,
        new_descriptor: Resource<Descriptor>,
        new_path: String,
    ) -> Answer<()> {
        let (from, to) = (self.dir(&descriptor)?, self.dir(&new_descriptor)?);
        if follow(flags) {
            return Err(ErrorCode::Invalid.into());
        }
        Ok(from.link(&old_path, to, &new_path)?)
    }

    /// A directory is opened with all that its parent allows: programs of older toolchains do not
    /// ask for `mutate-directory`, and expect it.
    fn open_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Resource<Descriptor>> {
        let dir = self.dir(&descriptor)?;
        if flags.contains(DescriptorFlags::MUTATE_DIRECTORY) && !dir.access().may_write() {
            return Err(ErrorCode::ReadOnly.into());
        }
        let opened = dir.open(&path, &options(path_flags, open_flags, flags))?;
        let opened = match opened {
            Opened::File(file) => Descriptor::File(file),
            Opened::Dir(dir) => Descriptor::Dir(dir),
        };
        Ok(self.table.push(opened)?)
    }

    fn readlink_at(&mut self, descriptor: Resource<Descriptor>, path: String) -> Answer<String> {
        Ok(self.dir(&descriptor)?.read_link(&path)?)
    }

    fn remove_directory_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path: String,
    ) -> Answer<()> {
        Ok(self.dir(&descriptor)?.remove_dir(&path)?)
    }

    fn rename_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        old_path: String,
        new_descriptor: Resource<Descriptor>,
        new_path: String,
    ) -> Answer<()> {
        let (from, to) = (self.dir(&descriptor)?, self.dir(&new_descriptor)?);
        Ok(from.rename(&old_path, to, &new_path)?)
    }

    fn symlink_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        old_path: String,
        new_path: String,
    ) -> Answer<()> {
        let dir = self.dir(&descriptor)?;
        if old_path.starts_with('/') {
            return Err(ErrorCode::NotPermitted.into());
        }
        Ok(dir.symlink(&old_path, &new_path)?)
    }

    fn unlink_file_at(&mut self, descriptor: Resource<Descriptor>, path: String) -> Answer<()> {
        Ok(self.dir(&descriptor)?.unlink(&path)?)
    }

    fn is_same_object(
        &mut self,
        descriptor: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> Result<bool> {
        let same = match (self.table.get(&descriptor)?, self.table.get(&other)?) {
            (Descriptor::File(one), Descriptor::File(other)) => one.is_same_object(other),
            (Descriptor::Dir(one), Descriptor::Dir(other)) => one.is_same_object(other),
            _ => Ok(false),
        };
        Ok(same.unwrap_or(false))
    }

    fn metadata_hash(&mut self, descriptor: Resource<Descriptor>) -> Answer<MetadataHashValue> {
        Ok(hash(&self.descriptor(&descriptor)?.stat()?))
    }

    fn metadata_hash_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> Answer<MetadataHashValue> {
        let dir = self.dir(&descriptor)?;
        Ok(hash(&dir.stat_at(&path, follow(flags))?))
    }

    fn drop(&mut self, descriptor: Resource<Descriptor>) -> Result<()> {
        self.table.delete(descriptor)?;
        Ok(())
    }
}

/// Pipes and devices have nothing to bring to a disk, which is no failure.
fn ignore_unsyncable(answer: std::result::Result<(), ErrorCode>) -> Answer<()> {
    match answer {
        Ok(()) | Err(ErrorCode::Invalid) => Ok(()),
        Err(code) => Err(code.into()),
    }
}

fn hash(stat: &Stat) -> MetadataHashValue {
    let hash = stat.metadata_hash();
    MetadataHashValue {
        lower: hash.lower,
        upper: hash.upper,
    }
}
