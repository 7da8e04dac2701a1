//! `descriptor`.

use std::io::IoSlice;
use std::sync::Arc;

use tidegate::{Resource, Result};

use super::super::bindings::wasi::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, MetadataHashValue, NewTimestamp,
    OpenFlags, PathFlags,
};
use super::{Answer, Descriptor, DirectoryEntryStream};
use crate::fault::FsFault;
use crate::fs::{Dir, File, MetadataHash, OpenOptions};
use crate::io::{FileInput, FileOutput, InputStream, OutputStream, READ_CHUNK, SharedOutput};
use crate::view::WasiCtxView;

/// The flags of a descriptor.
fn flags(descriptor: &Descriptor) -> DescriptorFlags {
    let mut flags = DescriptorFlags::empty();
    flags.set(DescriptorFlags::READ, descriptor.may_read());
    flags.set(DescriptorFlags::WRITE, descriptor.may_write());
    flags.set(
        DescriptorFlags::MUTATE_DIRECTORY,
        descriptor.may_mutate_directory(),
    );
    flags
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

impl types::HostDescriptor for WasiCtxView<'_> {
    fn read_via_stream(
        &mut self,
        descriptor: Resource<Descriptor>,
        offset: u64,
    ) -> Answer<Resource<InputStream>> {
        let file = self.descriptor(&descriptor)?.readable()?;
        let input = FileInput::new(file, offset);
        Ok(self.table.push(InputStream::new(input))?)
    }

    fn write_via_stream(
        &mut self,
        descriptor: Resource<Descriptor>,
        offset: u64,
    ) -> Answer<Resource<OutputStream>> {
        let file = self.descriptor(&descriptor)?.writable()?;
        self.push_file_output(FileOutput::at(file, offset))
    }

    fn append_via_stream(
        &mut self,
        descriptor: Resource<Descriptor>,
    ) -> Answer<Resource<OutputStream>> {
        let file = self.descriptor(&descriptor)?.writable()?;
        self.push_file_output(FileOutput::append(file))
    }

    fn advise(
        &mut self,
        descriptor: Resource<Descriptor>,
        offset: u64,
        length: u64,
        advice: types::Advice,
    ) -> Answer<()> {
        let descriptor = self.descriptor(&descriptor)?;
        Ok(descriptor.advise(offset, length, advice.into())?)
    }

    fn sync_data(&mut self, descriptor: Resource<Descriptor>) -> Answer<()> {
        Ok(self.descriptor(&descriptor)?.sync_data()?)
    }

    fn get_flags(&mut self, descriptor: Resource<Descriptor>) -> Answer<DescriptorFlags> {
        Ok(flags(self.descriptor(&descriptor)?))
    }

    fn get_type(&mut self, descriptor: Resource<Descriptor>) -> Answer<DescriptorType> {
        Ok(self.descriptor(&descriptor)?.file_type().into())
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
        let descriptor = self.descriptor(&descriptor)?;
        Ok(descriptor.set_times(accessed, modified)?)
    }

    /// Reads at most 64 KiB at once. The flag says that the end was met: there is nothing beyond
    /// what was returned.
    fn read(
        &mut self,
        descriptor: Resource<Descriptor>,
        length: u64,
        offset: u64,
    ) -> Answer<(Vec<u8>, bool)> {
        let wanted = clamp(length);
        let bytes = self.file(&descriptor)?.read_at_vec(wanted, offset)?;
        let at_end = bytes.len() < wanted;
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
        let entries = self.descriptor(&descriptor)?.entries()?;
        Ok(self.table.push(DirectoryEntryStream::new(entries))?)
    }

    fn sync(&mut self, descriptor: Resource<Descriptor>) -> Answer<()> {
        Ok(self.descriptor(&descriptor)?.sync()?)
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

    fn link_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        flags: PathFlags,
        old_path: String,
        new_descriptor: Resource<Descriptor>,
        new_path: String,
    ) -> Answer<()> {
        let (from, to) = (
            self.descriptor(&descriptor)?,
            self.descriptor(&new_descriptor)?,
        );
        Ok(from.link_at(follow(flags), &old_path, to, &new_path)?)
    }

    fn open_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Resource<Descriptor>> {
        let opened = self.descriptor(&descriptor)?.open_at(
            &path,
            &options(path_flags, open_flags, flags),
            flags.contains(DescriptorFlags::MUTATE_DIRECTORY),
        )?;
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
        Ok(self
            .descriptor(&descriptor)?
            .symlink_at(&old_path, &new_path)?)
    }

    fn unlink_file_at(&mut self, descriptor: Resource<Descriptor>, path: String) -> Answer<()> {
        Ok(self.dir(&descriptor)?.unlink(&path)?)
    }

    fn is_same_object(
        &mut self,
        descriptor: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> Result<bool> {
        Ok(self
            .table
            .get(&descriptor)?
            .is_same_object(self.table.get(&other)?))
    }

    fn metadata_hash(&mut self, descriptor: Resource<Descriptor>) -> Answer<MetadataHashValue> {
        Ok(hash(self.descriptor(&descriptor)?.metadata_hash()?))
    }

    fn metadata_hash_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> Answer<MetadataHashValue> {
        let dir = self.dir(&descriptor)?;
        Ok(hash(dir.stat_at(&path, follow(flags))?.metadata_hash()))
    }

    fn drop(&mut self, descriptor: Resource<Descriptor>) -> Result<()> {
        self.table.delete(descriptor)?;
        Ok(())
    }
}

fn hash(hash: MetadataHash) -> MetadataHashValue {
    MetadataHashValue {
        lower: hash.lower,
        upper: hash.upper,
    }
}
