//! Objects as files: what they hold takes no memory of the process that is measured.

use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, Extensions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart,
};

/// Objects below a directory.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
}

/// Numbers files that are being written.
static UNFINISHED: AtomicU64 = AtomicU64::new(0);

fn failed(what: std::io::Error, path: &Path) -> Error {
    let path = path.to_string();
    match what.kind() {
        ErrorKind::NotFound => Error::NotFound { path, source: what.into() },
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: what.into() },
        _ => Error::Generic { store: "files", source: what.into() },
    }
}

/// Parts that become an object together.
#[derive(Debug)]
struct Upload {
    files: Files,
    location: Path,
    parts: Vec<Bytes>,
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.extend(data);
        Box::pin(std::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let payload: PutPayload = std::mem::take(&mut self.parts).into_iter().collect();
        self.files.put_opts(&self.location, payload, PutOptions::default()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

impl Files {
    /// Those below `root`, which is made.
    pub fn new(root: PathBuf) -> std::io::Result<Files> {
        fs::create_dir_all(root.join("unfinished"))?;
        fs::create_dir_all(root.join("objects"))?;
        Ok(Files { root })
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.root.join("objects").join(path.as_ref())
    }

    fn meta(&self, location: Path) -> Result<ObjectMeta> {
        let found =
            fs::metadata(self.place(&location)).and_then(|found| Ok((found.len(), found.modified()?)));
        let (size, modified) = found.map_err(|error| failed(error, &location))?;
        let e_tag = Some(size.to_string());
        Ok(ObjectMeta { location, last_modified: modified.into(), size, e_tag, version: None })
    }

    fn write(&self, location: &Path, payload: &PutPayload, create: bool) -> std::io::Result<()> {
        let number = UNFINISHED.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.root.join("unfinished").join(number.to_string());
        let mut file = fs::File::create(&unfinished)?;
        payload.iter().try_for_each(|part| file.write_all(part))?;
        drop(file);
        let place = self.place(location);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        if !create {
            return fs::rename(unfinished, place);
        }
        let linked = fs::hard_link(&unfinished, place);
        fs::remove_file(unfinished)?;
        linked
    }

    fn read(&self, location: &Path, range: &std::ops::Range<u64>) -> std::io::Result<Vec<u8>> {
        let mut file = fs::File::open(self.place(location))?;
        file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// All below a directory.
    fn walk(&self, directory: PathBuf, found: &mut Vec<Path>) -> std::io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                self.walk(path, found)?;
            } else if let Ok(below) = path.strip_prefix(self.root.join("objects")) {
                found.push(Path::from(below.to_string_lossy().as_ref()));
            }
        }
        Ok(())
    }

    fn all(&self, prefix: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let (mut found, root) = (Vec::new(), Path::default());
        self.walk(self.root.join("objects"), &mut found).map_err(|error| failed(error, &root))?;
        let prefix = prefix.unwrap_or(&root);
        found.retain(|path| path.prefix_matches(prefix) && path != prefix);
        found.sort();
        // One may have gone meanwhile.
        Ok(found.into_iter().filter_map(|path| self.meta(path).ok()).collect())
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "files below {}", self.root.display())
    }
}

fn unsupported(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.into(), implementer: "files".into() }
}

#[async_trait::async_trait]
impl ObjectStore for Files {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let create = match opts.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return Err(unsupported("update")),
        };
        self.write(location, &payload, create).map_err(|error| failed(error, location))?;
        let e_tag = Some(payload.content_length().to_string());
        Ok(PutResult { e_tag, version: None, extensions: Extensions::default() })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let (files, location) = (Files::new(self.root.clone()), location.clone());
        let files = files.map_err(|error| failed(error, &location))?;
        Ok(Box::new(Upload { files, location, parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let meta = self.meta(location.clone())?;
        options.check_preconditions(&meta)?;
        let whole = 0..meta.size;
        let range = match &options.range {
            Some(range) => range
                .as_range(meta.size)
                .map_err(|error| Error::Generic { store: "files", source: Box::new(error) })?,
            None => whole,
        };
        let bytes = if options.head {
            Vec::new()
        } else {
            self.read(location, &range).map_err(|error| failed(error, location))?
        };
        let payload = GetResultPayload::Stream(stream::iter([Ok(bytes.into())]).boxed());
        let (attributes, extensions) = (Attributes::new(), Extensions::default());
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let root = self.root.join("objects");
        let delete = move |location: Result<Path>| {
            let location = location?;
            fs::remove_file(root.join(location.as_ref())).map_err(|error| failed(error, &location))?;
            Ok(location)
        };
        locations.map(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.all(prefix) {
            Ok(found) => stream::iter(found.into_iter().map(Ok)).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let root = Path::default();
        let (mut objects, mut common_prefixes) = (Vec::new(), Vec::new());
        for meta in self.all(prefix)? {
            let mut parts = meta.location.prefix_match(prefix.unwrap_or(&root)).into_iter().flatten();
            match (parts.next(), parts.next()) {
                (Some(part), Some(_)) => common_prefixes.push(prefix.unwrap_or(&root).clone().join(part)),
                _ => objects.push(meta.clone()),
            }
        }
        common_prefixes.dedup();
        Ok(ListResult { objects, common_prefixes, extensions: Extensions::default() })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (_, _) = (to, options);
        Err(failed(ErrorKind::Unsupported.into(), from))
    }
}
