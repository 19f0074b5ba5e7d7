//! Programs of this machine.

use crate::{Failure, Result};
use std::{
    env,
    path::{Path, PathBuf},
};

/// The first of these programs that is installed: a path, or a name on the search path.
pub(crate) fn find(programs: &[&str], package: &str) -> Result<PathBuf> {
    programs.iter().find_map(|program| locate(program)).ok_or_else(|| {
        let names = programs.join(" or ");
        Failure::new(format!("no {names} on this machine; `apt-get install {package}` has one"))
    })
}

pub(crate) fn locate(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|file| file.is_file());
    }
    // Debian keeps servers in sbin, which is not on every user's path.
    let search = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&search).chain([Path::new("/usr/sbin").to_owned()]);
    directories.map(|directory| directory.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_package_that_has_it() {
        assert!(find(&["no-such-program", "sh"], "dash").is_ok());
        let error = find(&["no-such-program", "/no/such/file"], "some-package").unwrap_err();
        assert!(error.to_string().contains("apt-get install some-package"), "{error}");
    }
}
