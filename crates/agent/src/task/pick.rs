//! Which files of a workspace a pattern means, and a copy of them that costs no room. It never
//! follows a link: what a step has left is not to be trusted.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

/// So many files and links are picked at most: what is larger is no package, and costs the disk of
/// its host an entry for each.
pub const MOST: u64 = 200_000;

/// What was picked.
#[derive(Debug, Default, PartialEq)]
pub struct Picked {
    /// Files and links.
    pub taken: u64,
    /// Links that lead out of the workspace, sockets, pipes and devices.
    pub left_out: Vec<PathBuf>,
}

/// Puts everything that a pattern means into `into`, at the same paths. A directory means all that
/// is in it.
///
/// # Errors
/// As the disk says; `FileTooLarge`, if there are more than [`MOST`].
pub fn pick(work: &Path, patterns: &[String], into: &Path) -> io::Result<Picked> {
    let mut picked = Picked::default();
    visit(work, Path::new(""), &mut |path, kind| {
        let wanted = |ancestor: &Path| patterns.iter().any(|p| matches(p, ancestor));
        if kind.is_dir() || !path.ancestors().any(wanted) {
            return Ok(());
        }
        if picked.taken == MOST {
            let message = format!("there are more than {MOST} files");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        let (from, to) = (work.join(path), into.join(path));
        if let Some(above) = to.parent() {
            fs::create_dir_all(above)?;
        }
        if kind.is_file() {
            fs::hard_link(from, to)?;
        } else if kind.is_symlink() && stays(path, &fs::read_link(&from)?) {
            symlink(fs::read_link(&from)?, to)?;
        } else {
            picked.left_out.push(path.to_owned());
            return Ok(());
        }
        picked.taken += 1;
        Ok(())
    })?;
    Ok(picked)
}

/// The files a pattern means, sorted.
///
/// # Errors
/// As the disk says.
pub fn files(work: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    visit(work, Path::new(""), &mut |path, kind| {
        if kind.is_file() && matches(pattern, path) {
            found.push(path.to_owned());
        }
        Ok(())
    })?;
    found.sort();
    Ok(found)
}

type Visitor<'a> = dyn FnMut(&Path, fs::FileType) -> io::Result<()> + 'a;

fn visit(work: &Path, inside: &Path, visitor: &mut Visitor<'_>) -> io::Result<()> {
    for entry in fs::read_dir(work.join(inside))? {
        let entry = entry?;
        let (path, kind) = (inside.join(entry.file_name()), entry.file_type()?);
        visitor(&path, kind)?;
        if kind.is_dir() {
            visit(work, &path, visitor)?;
        }
    }
    Ok(())
}

/// Whether a link at that path leads to a place in the workspace, by its text.
fn stays(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

/// Whether a pattern means a path: `*` stands for any part of a name, `?` for one letter of it, and
/// `**` for any number of directories.
pub fn matches(pattern: &str, path: &Path) -> bool {
    let wanted: Vec<&str> = pattern.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    let Some(path) = path.to_str() else { return false };
    let names: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    if wanted.is_empty() {
        // The workspace itself, which everything lies in.
        return names.is_empty();
    }
    // Which beginnings of the pattern mean the names so far, one name after another.
    let mut reached = vec![false; wanted.len() + 1];
    reached[0] = true;
    spread(&wanted, &mut reached);
    for name in names {
        let mut next = vec![false; wanted.len() + 1];
        for (at, part) in wanted.iter().enumerate().filter(|(at, _)| reached[*at]) {
            match *part {
                "**" => next[at] = true,
                part if one(part.as_bytes(), name.as_bytes()) => next[at + 1] = true,
                _ => {}
            }
        }
        spread(&wanted, &mut next);
        reached = next;
    }
    reached[wanted.len()]
}

/// `**` may stand for nothing.
fn spread(wanted: &[&str], reached: &mut [bool]) {
    for at in 0..wanted.len() {
        if reached[at] && wanted[at] == "**" {
            reached[at + 1] = true;
        }
    }
}

/// Whether a pattern without `/` means a name. Goes back to the last star only, which suffices.
fn one(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => (p, n) = (p + 1, n + 1),
            Some(letter) if *letter == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_people_mean() {
        for (pattern, path, wanted) in [
            ("out", "out", true),
            ("out", "outer", false),
            ("./out/", "out", true),
            ("*.xml", "a.xml", true),
            ("*.xml", "d/a.xml", false),
            ("**/*.xml", "a.xml", true),
            ("**/*.xml", "d/e/a.xml", true),
            ("d/**", "d", true),
            ("d/**", "d/e/f", true),
            ("d/**/f", "d/f", true),
            ("d/**/f", "d/e/e/f", true),
            ("d/**/f", "d/e/g", false),
            ("a*b*c", "axxbxxc", true),
            ("a*b*c", "axxbxx", false),
            ("?.rs", "a.rs", true),
            ("?.rs", ".rs", false),
            ("*", "", false),
            (".", "", true),
        ] {
            assert_eq!(matches(pattern, Path::new(path)), wanted, "{pattern} {path}");
        }
        let long = "a".repeat(2000);
        assert!(!matches(&"*a".repeat(200), Path::new(&format!("{long}b"))), "and that at once");
    }

    #[test]
    fn links_out_and_special_files_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let (work, into) = (dir.path().join("work"), dir.path().join("into"));
        fs::create_dir_all(work.join("out/deep")).unwrap();
        fs::create_dir(&into).unwrap();
        fs::write(dir.path().join("key"), "secret").unwrap();
        fs::write(work.join("out/deep/a"), "a").unwrap();
        fs::write(work.join("other"), "o").unwrap();
        symlink("deep/a", work.join("out/near")).unwrap();
        symlink("../../key", work.join("out/far")).unwrap();
        symlink("/etc/passwd", work.join("out/farther")).unwrap();
        symlink("..", work.join("out/up")).unwrap();
        nix::unistd::mkfifo(&work.join("out/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut picked = pick(&work, &["out".to_owned()], &into).unwrap();
        picked.left_out.sort();
        let left_out = ["out/far", "out/farther", "out/pipe"].map(PathBuf::from);
        assert_eq!((picked.taken, picked.left_out.as_slice()), (3, &left_out[..]));
        assert_eq!(fs::read_to_string(into.join("out/deep/a")).unwrap(), "a");
        assert!(!into.join("other").exists());
        let none = pick(&work, &["nothing".to_owned()], &into).unwrap();
        assert_eq!(none, Picked::default());
        assert_eq!(files(&work, "**/a").unwrap(), [PathBuf::from("out/deep/a")]);
    }
}
