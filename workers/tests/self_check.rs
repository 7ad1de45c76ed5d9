//! What a server says of a model that is not computed as it was trained, and of what is beside it in its file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use support::{
    Worker, sample,
    worker::{Ended, MODEL},
};

const SUSPICION: &str = "the model knows fewer than half of the 40 sample images of CIFAR-10";

/// What a server has said when it is ready.
fn said(flags: &[&str]) -> String {
    Worker::start_server(flags).process.log()
}

#[test]
fn a_model_that_is_not_computed_as_it_was_trained_is_warned_of() {
    let rotated = "--labels=truck,airplane,automobile,bird,cat,deer,dog,frog,horse,ship";
    for flags in [&["--max-pool"][..], &["--max-pool=true"], &["--mean=1,1,1", "--std=0.01,0.01,0.01"], &[rotated]] {
        let said = said(flags);
        assert!(said.contains(SUSPICION), "{flags:?}: {said}");
    }
}

#[test]
fn a_model_that_is_or_that_has_other_classes_is_not() {
    let strangers = "--labels=a,b,c,d,e,f,g,h,i,j";
    for flags in [&[][..], &["--max-pool=false"], &[strangers], &["--labels=a,b,c,cat,d,e,f,g,h,i"]] {
        let said = said(flags);
        assert!(!said.contains("fewer than half"), "{flags:?}: {said}");
    }
}

/// The model of the repository with this before its tensors' names, and these tensors of ten numbers beside them.
fn wrapped(folder: &Path, prefix: &str, beside: &[&str]) -> PathBuf {
    let file = std::fs::read(MODEL).unwrap();
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: Map<String, Value> = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let mut body = file[8 + length..].to_vec();
    let name = |name: String| if name == "__metadata__" { name } else { format!("{prefix}{name}") };
    let mut header: Map<String, Value> = header.into_iter().map(|(key, value)| (name(key), value)).collect();
    for other in beside {
        let offsets = [body.len(), body.len() + 40];
        header.insert((*other).into(), json!({"dtype": "F32", "shape": [10], "data_offsets": offsets}));
        body.extend([0; 40]);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let path = folder.join("wrapped.safetensors");
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], &header, &body].concat()).unwrap();
    path
}

#[test]
fn a_wrapped_model_is_served_and_what_is_beside_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (prefix, beside) in [("model.", &["criterion.weight"][..]), ("module._orig_mod.", &[]), ("net.", &["a.b", "c"])]
    {
        let model = format!("--model={}", wrapped(folder.path(), prefix, beside).display());
        let mut server = Worker::start(&["inference-server".to_owned(), model], &[]);
        server.wait_until_ready();
        assert_eq!(server.ask("POST /predict", &[], &sample(1)).json()["label"], "ship", "{prefix}");
        let said = format!("tensors beside the network, which are not used: {}", beside.join(", "));
        assert_eq!(server.process.log().contains(&said), !beside.is_empty(), "{}", server.process.log());
    }
}

#[test]
fn two_networks_and_one_without_its_last_layer_are_refused_with_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |prefix: &str, beside: &[&str]| {
        let model = format!("--model={}", wrapped(folder.path(), prefix, beside).display());
        let Ended { status, output } = Worker::run(&["inference-server".to_owned(), model], &[]);
        assert!(!status.success(), "{output}");
        output
    };
    let output = refusal("a.", &["b.conv1.weight", "b.layer1.0.conv1.weight"]);
    assert!(output.contains(r#"the file has 2 networks, whose names begin with ["a.", "b."]"#), "{output}");
    let output = refusal("blocks.layer", &["conv1.weight"]);
    assert!(output.contains(r#"tensor "conv1.weight" must have the shape [any, 3, 3, 3], found [10]"#), "{output}");
    let output = refusal("resnet_", &[]);
    assert!(output.contains(r#"tensor "conv1.weight" is missing"#), "{output}");
    assert!(output.contains(r#""resnet_conv1.weight" [16, 3, 3, 3]"#), "{output}");
}
