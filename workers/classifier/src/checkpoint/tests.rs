//! Files that PyTorch wrote (`tests/checkpoints/write.py`), and files that nobody should have written.

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::{Classifier, LoadOptions, decode, reference};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checkpoints")
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn load(name: &str, file: &[u8]) -> Result<Classifier, String> {
    Classifier::from_file(Path::new(name), file, &LoadOptions::default()).map_err(|error| error.to_string())
}

fn refusal(file: &[u8]) -> String {
    load("x.pt", file).err().expect("the file is refused")
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A checkpoint with this pickle and four bytes of storage.
fn checkpoint(pickle: &[u8]) -> Vec<u8> {
    archive(&[("x/data.pkl", pickle), ("x/data/0", &[0; 4])])
}

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// The tensor `conv1.weight` with one dimension of this length, as `torch.save` writes it but for what is not needed.
fn one_tensor(length: i32) -> Vec<u8> {
    let [storage, key, device] = ["storage", "0", "cpu"].map(text);
    let length = length.to_le_bytes();
    [
        b"\x80\x02}",
        &*text("conv1.weight"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &*storage,
        b"ctorch\nFloatStorage\n",
        &*key,
        &*device,
        b"K\x01tQK\x00J",
        &length,
        b"\x85K\x01\x85\x89}tRs.",
    ]
    .concat()
}

#[test]
fn every_form_gives_the_logits_of_pytorch() {
    let expected: HashMap<String, Vec<f32>> = serde_json::from_slice(&file("expected.json")).unwrap();
    assert!(expected.len() >= 7);
    let image = std::fs::read(folder().join("../../../../models/sample/0000-cat.png")).unwrap();
    let image = decode("image/png", &image).unwrap();
    for (name, expected) in expected {
        let classifier = Classifier::load(&folder().join(&name)).unwrap();
        let difference =
            reference::largest_difference(&classifier.logits(std::slice::from_ref(&image)).unwrap()[0], &expected);
        assert!(difference < 1e-3, "{name}: largest difference of a logit: {difference}");
        assert_eq!(&*classifier.model().labels()[9], "truck");
    }
}

#[test]
fn a_whole_module_is_refused_with_what_to_write_instead() {
    let error = refusal(&file("whole-module.pt"));
    let expected = "it holds an object of __main__.Network instead of a state_dict: \
                    write it with torch.save(model.state_dict(), FILE)";
    assert_eq!(error, format!("the checkpoint x.pt cannot be used: {expected}"));
}

#[test]
fn code_in_a_checkpoint_is_not_run() {
    let proof = std::env::temp_dir().join(format!("a-checkpoint-ran-code-{}", std::process::id()));
    let command = text(&format!("touch {}", proof.display()));
    let pickle = [b"\x80\x02cos\nsystem\n", &*command, b"\x85R."].concat();
    let error = refusal(&checkpoint(&pickle));
    assert!(error.contains("an object of os.system instead of a state_dict"), "{error}");
    assert!(!proof.exists());
}

#[test]
fn a_tensor_must_fit_into_its_storage() {
    assert!(refusal(&checkpoint(&one_tensor(1))).contains("must have the shape [any, 3, 3, 3], found [1]"));
    let outside = r#"its tensor "conv1.weight" with the shape [2] needs more bytes than the file has for it"#;
    assert!(refusal(&checkpoint(&one_tensor(2))).contains(outside));
    assert!(refusal(&checkpoint(&one_tensor(i32::MAX))).contains("[2147483647] needs more bytes"));
    let error = refusal(&checkpoint(&one_tensor(-1)));
    assert!(error.contains("a tensor has other arguments"), "{error}");
}

#[test]
fn an_entry_that_is_no_tensor_is_named() {
    let pickle = [b"\x80\x02}", &*text("epoch"), b"K\x07s."].concat();
    let error = refusal(&checkpoint(&pickle));
    assert!(error.contains(r#"its entry "epoch" is the number 7, not a tensor"#), "{error}");
}

#[test]
fn a_state_dict_must_be_a_dictionary() {
    let pickle = [b"\x80\x02}", &*text("state_dict"), b"Ns."].concat();
    assert!(refusal(&checkpoint(&pickle)).contains("it holds a simple value instead of a state_dict"));
}

#[test]
fn objects_that_contain_each_other_many_times_take_no_more_memory_than_their_pickle() {
    // Each list has the one before it twice: written out there would be 2^200.
    let doubled: Vec<u8> =
        (0..200u8).flat_map(|list| [b']', b'q', list + 1, b'h', list, b'a', b'h', list, b'a']).collect();
    let pickle = [b"\x80\x02]q\x00", &*doubled, b"."].concat();
    assert!(refusal(&checkpoint(&pickle)).contains("it holds a list"));
    let nested = [b"\x80\x02N", &*vec![0x85; 1_000_000], b"."].concat();
    assert!(refusal(&checkpoint(&nested)).contains("it holds a list"));
}

#[test]
fn other_op_codes_are_named() {
    let error = refusal(&checkpoint(b"\x80\x04\x95."));
    assert!(error.contains("the op-code 0x95 at byte 2, which is not read"), "{error}");
}

#[test]
fn an_archive_of_something_else_is_refused() {
    assert!(refusal(&archive(&[("notes.txt", b"hello")])).contains("has no data.pkl"));
    let names: Vec<_> = (0..10_001).map(|number| number.to_string()).collect();
    let entries: Vec<_> = names.iter().map(|name| (&**name, &b""[..])).collect();
    assert!(refusal(&archive(&entries)).contains("more than 10000 entries"));
    assert!(refusal(&archive(&[("x/byteorder", b"big"), ("x/data.pkl", b".")])).contains("big-endian"));
    assert!(refusal(&archive(&[("x/data.pkl", &vec![b'N'; 5 << 20])])).contains("more than 4194304"));
}

#[test]
fn an_archive_that_is_compressed_is_refused() {
    let mut file = checkpoint(&one_tensor(1));
    let entries: Vec<_> = (0..file.len()).filter(|at| file[*at..].starts_with(b"PK\x01\x02")).collect();
    for at in entries {
        file[at + 10] = 8;
    }
    let error = refusal(&file);
    assert!(error.contains("ZIP archive cannot be read") && error.contains("ompression method"), "{error}");
}

#[test]
fn a_changed_weight_is_found_by_its_checksum() {
    let mut changed = file("option-b.pt");
    let mut archive = ZipArchive::new(Cursor::new(&*changed)).unwrap();
    let weight = archive.by_name("option-b/data/0").unwrap().data_start().unwrap() as usize;
    changed[weight] ^= 1;
    let error = refusal(&changed);
    assert!(error.contains("in its ZIP archive cannot be read: Invalid checksum"), "{error}");
}

#[test]
fn a_file_that_ends_early_says_so() {
    let whole = file("option-a-before-1.6.th");
    for length in [20, whole.len() / 2, whole.len() - 1] {
        let error = refusal(&whole[..length]);
        assert_eq!(error, "the checkpoint x.pt cannot be used: it ends in the middle: fetch or write it again");
    }
    assert!(refusal(&file("option-a.th")[..20_000]).contains("its ZIP archive cannot be read"));
}

#[test]
fn what_is_missing_is_named_as_it_would_be_in_the_file() {
    let mut without = file("option-a-before-1.6.th");
    let at = without.windows(14).position(|bytes| bytes == b"module.bn1.wei").unwrap();
    without[at + 7] = b'x';
    let error = refusal(&without);
    assert!(error.contains(r#"tensor "module.bn1.weight" is missing"#), "{error}");
    assert!(error.contains(r#""module.xn1.weight" [2], "#), "{error}");
}

proptest! {
    #[test]
    fn a_damaged_file_is_refused_or_loads_but_never_panics(
        name in prop::sample::select(
            &["option-a.th", "option-a-before-1.6.th", "channels-last.pth", "option-b.safetensors"][..]
        ),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        in_head in any::<bool>(),
        length in any::<prop::sample::Index>(),
        truncated in any::<bool>(),
    ) {
        let mut file = file(name);
        // Most of what can be misread is at the start.
        let reach = if in_head { 4000 } else { file.len() };
        for (index, value) in &flips {
            file[index.index(reach)] = *value;
        }
        if truncated {
            file.truncate(length.index(file.len()));
        }
        if let Err(error) = load(name, &file) {
            prop_assert!(!error.contains('\n'), "one sentence: {error}");
        }
    }

    #[test]
    fn no_pickle_panics(pickle in prop::collection::vec(
        prop::sample::select(&b"\x80\x02.(NG\x88\x89KMJ\x8aXcqrhj)]}\x85\x86\x87tasueR\x81bQ\x00\x01\n"[..]), 0..200,
    )) {
        prop_assert!(load("x.pt", &checkpoint(&pickle)).is_err());
    }
}
