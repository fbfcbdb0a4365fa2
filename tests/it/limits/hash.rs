//! DOS-03: what strangers choose as keys is hashed with a secret.

use std::path::Path;

/// Hashers without a secret of the process, and what brings them.
const WEAK: &[&str] = &[
    "FxHash",
    "rustc_hash",
    "ahash",
    "fnv::",
    "FnvHash",
    "xxhash",
    "seahash",
    "BuildHasherDefault",
    "nohash",
    "foldhash",
];

fn walk(dir: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, look);
        } else if path.extension().is_some_and(|e| e == "rs") {
            look(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn dos_03_maps_are_the_standard_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = 0;
    walk(&root.join("src"), &mut |path, text| {
        files += 1;
        for weak in WEAK {
            assert!(!text.contains(weak), "{}: {weak}", path.display());
        }
        assert!(!text.contains("with_hasher"), "{}: a map with a hasher of its own", path.display());
    });
    assert!(files > 50);
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for line in manifest.lines() {
        let name = line.split('=').next().unwrap().trim();
        assert!(!matches!(name, "rustc-hash" | "ahash" | "fnv" | "hashbrown" | "fxhash" | "foldhash"), "{line}");
    }
}

/// Two maps with the same keys have them in different orders: each has a secret of its own.
#[test]
fn dos_03_the_order_of_a_map_cannot_be_foretold() {
    let order = || -> Vec<u32> {
        let map: std::collections::HashMap<u32, ()> = (0..1000).map(|n| (n, ())).collect();
        map.into_keys().collect()
    };
    assert_ne!(order(), order());
}
