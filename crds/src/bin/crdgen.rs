//! Writes the custom resource definitions as YAML into a folder: `crdgen [FOLDER]`, by default `crds/manifests`.

use std::{error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "crds/manifests".into()));
    fs::create_dir_all(&folder)?;
    for (name, definition) in tailrace_crds::definitions() {
        fs::write(folder.join(format!("{name}.yaml")), serde_yaml_ng::to_string(&definition)?)?;
    }
    Ok(())
}
