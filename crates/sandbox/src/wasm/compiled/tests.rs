use super::*;

/// A module that is small, in a cache of its own.
fn stored() -> (Engine, tempfile::TempDir, Place) {
    let engine = engine().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("deep").join("cache");
    private::folder(&cache).unwrap();
    let place = Place::new(&engine, &cache);
    // An empty module: the magic number and the version.
    let code = engine.precompile_module(b"\0asm\x01\0\0\0").unwrap();
    place.store(&code).unwrap();
    (engine, dir, place)
}

fn fails(place: &Place, engine: &Engine) -> String {
    place.open(engine).map(drop).unwrap_err().to_string()
}

#[test]
fn what_is_stored_is_loaded() {
    let (engine, _dir, place) = stored();
    place.open(&engine).unwrap();
}

#[test]
fn a_changed_byte_is_noticed() {
    let (engine, _dir, place) = stored();
    let mut code = fs::read(&place.code).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    fs::write(&place.code, code).unwrap();
    assert!(fails(&place, &engine).contains("was changed"));
}

#[test]
fn code_without_its_digest_is_not_loaded() {
    let (engine, _dir, place) = stored();
    fs::write(&place.digest, "").unwrap();
    assert!(fails(&place, &engine).contains("was changed"));
    fs::remove_file(&place.digest).unwrap();
    place.open(&engine).unwrap_err();
}

#[test]
fn code_of_another_version_is_not_loaded() {
    let (engine, _dir, place) = stored();
    place.store(b"\x7fELF no code of ours").unwrap();
    assert!(fails(&place, &engine).contains("cannot be loaded"));
}

#[cfg(unix)]
#[test]
fn what_others_could_have_written_is_not_loaded() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    let (engine, dir, place) = stored();
    let may = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    may(&place.code, 0o620);
    assert!(fails(&place, &engine).contains("closed to all others"));
    may(&place.code, 0o600);
    place.open(&engine).unwrap();

    let twin = dir.path().join("twin");
    fs::hard_link(&place.code, &twin).unwrap();
    assert!(fails(&place, &engine).contains("closed to all others"));
    fs::remove_file(&place.code).unwrap();
    std::os::unix::fs::symlink(&twin, &place.code).unwrap();
    place.open(&engine).unwrap_err();

    may(&place.folder, 0o755);
    assert!(private::folder(&place.folder).unwrap_err().to_string().contains("remove it"));
}

#[test]
fn settings_and_module_are_in_the_name() {
    let dir = Path::new("/cache");
    let ours = Place::new(&engine().unwrap(), dir);
    let other = Place::new(&Engine::new(&Config::new()).unwrap(), dir);
    assert_ne!(ours.code, other.code);
    assert!(ours.code.to_str().unwrap().contains(&artifact::MODULE.sha256[..16]));
}
