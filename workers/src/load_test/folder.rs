//! Where the results go.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tailrace_report::files::File;

/// A folder that can be written.
pub struct Folder(PathBuf);

/// Nothing can be written there.
#[derive(Debug, thiserror::Error)]
#[error(
    "the results cannot be written to {path}: {why}: let the user of this process write there, or name another folder with --output"
)]
pub struct CannotWrite {
    path: PathBuf,
    why: io::Error,
}

impl Folder {
    /// Makes the folder if need be, and tries it: what cannot be kept need not be measured.
    ///
    /// # Errors
    /// The folder cannot be made, or nothing can be written there.
    pub fn prepare(path: &Path) -> Result<Self, CannotWrite> {
        let trial = path.join(".trial");
        let tried =
            fs::create_dir_all(path).and_then(|()| fs::write(&trial, "")).and_then(|()| fs::remove_file(&trial));
        tried.map_err(|why| CannotWrite { path: path.to_owned(), why })?;
        Ok(Self(path.to_owned()))
    }

    /// Writes the files, and says which.
    ///
    /// # Errors
    /// The first that cannot be written.
    pub fn write(&self, files: &[File]) -> Result<(), CannotWrite> {
        for File { name, bytes } in files {
            let path = self.0.join(name);
            fs::write(&path, bytes).map_err(|why| CannotWrite { path: path.clone(), why })?;
            tracing::info!("{} was written", path.display());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_and_left_empty_until_there_is_something_to_write() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let folder = Folder::prepare(&path).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        folder.write(&[File { name: "results.json".into(), bytes: b"{}".to_vec() }]).unwrap();
        assert_eq!(fs::read(path.join("results.json")).unwrap(), b"{}");
    }

    #[test]
    fn what_is_no_folder_is_refused_with_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = Folder::prepare(file.path()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("name another folder with --output"), "{refused}");
    }
}
