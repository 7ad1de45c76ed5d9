//! Writes the custom resource definitions as YAML into `crds/manifests`, and into the chart, which brings them along.

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in tailrace_crds::MANIFEST_FOLDERS.map(|folder| repository.join(folder)) {
        fs::create_dir_all(&folder)?;
        for (name, definition) in tailrace_crds::definitions() {
            fs::write(folder.join(format!("{name}.yaml")), serde_yaml_ng::to_string(&definition)?)?;
        }
    }
    Ok(())
}
