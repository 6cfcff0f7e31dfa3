//! The folders, and files that are no corpus.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use midashi_tests::folder;

use crate::archive::{article, corpus};
use crate::case::Expected::{Articles, Refused};
use crate::case::{Case, Expected, MEMORY};

/// Makes something in the folder of the corpus; `outside` is another folder.
type Make = fn(inside: &Path, outside: &Path);
type Made = (&'static str, &'static str, Expected, Make);

/// Tries all and returns their number.
pub fn try_all() -> usize {
    let all: Vec<Made> = links().into_iter().chain(files()).chain(bounds()).collect();
    let sources = sources();
    let count = all.len() + sources.len();
    for (name, set, expected, make) in all {
        let folder = folder();
        let (inside, outside) = (folder.path().join("texts"), folder.path().join("outside"));
        for (path, bytes) in corpus() {
            write(&inside, &path, &bytes);
        }
        write(&outside, "1.txt", &article("外"));
        make(&inside, &outside);
        Case { name, set, memory: MEMORY, expected }.check(&inside, folder.path());
    }
    for (name, expected, make) in sources {
        let folder = folder();
        let source = make(folder.path());
        Case { name, set: "", memory: MEMORY, expected }.check(&source, folder.path());
    }
    count
}

fn write(folder: &Path, path: &str, bytes: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn sparse(path: &Path, size: u64) {
    File::create(path).unwrap().set_len(size).unwrap();
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn links() -> Vec<Made> {
    vec![
        ("a linked text", "", Articles(9, &[]), |inside, _| {
            symlink("../a/a0.txt", inside.join("b/b9.txt")).unwrap()
        }),
        ("a linked category", "", Articles(9, &["c"]), |inside, _| {
            write(inside, ".git/store/c9.txt", &article("c"));
            symlink(".git/store", inside.join("c")).unwrap();
        }),
        (
            "a linked category outside",
            "",
            Refused(&["c is a symbolic link to", "outside the corpus"]),
            |inside, outside| {
                symlink(outside, inside.join("c")).unwrap();
            },
        ),
        (
            "a linked text outside",
            "",
            Refused(&["b/b9.txt is a symbolic link to", "outside the corpus"]),
            |inside, outside| {
                symlink(outside.join("1.txt"), inside.join("b/b9.txt")).unwrap();
            },
        ),
        (
            "links outside that are skipped",
            "corpus.bad_files=skip",
            Articles(8, &["skipped 2 bad files"]),
            |inside, outside| {
                symlink(outside, inside.join("c")).unwrap();
                symlink(outside.join("1.txt"), inside.join("b/b9.txt")).unwrap();
            },
        ),
        (
            "a link that leads back",
            "",
            Refused(&["a/up is a symbolic link to .., a folder that holds the link"]),
            |inside, _| {
                symlink("..", inside.join("a/up")).unwrap();
            },
        ),
        ("links in a circle", "", Refused(&["which leads nowhere"]), |inside, _| {
            symlink("two.txt", inside.join("a/one.txt")).unwrap();
            symlink("one.txt", inside.join("a/two.txt")).unwrap();
        }),
        (
            "a link to nothing",
            "",
            Refused(&["a/x.txt is a symbolic link to none, which leads nowhere"]),
            |inside, _| {
                symlink("none", inside.join("a/x.txt")).unwrap();
            },
        ),
        ("a link to a device", "", Refused(&["a/x.txt is a symbolic link to /dev/zero"]), |inside, _| {
            symlink("/dev/zero", inside.join("a/x.txt")).unwrap();
        }),
        (
            "links that multiply",
            "corpus.limits.files=20000",
            Refused(&["more than 20000 files and folders", "raise corpus.limits.files"]),
            |inside, _| {
                for at in 0..30 {
                    write(inside, &format!("d{at}/x.txt"), &article("x"));
                    for name in ["a", "b"] {
                        symlink(format!("../d{}", at + 1), inside.join(format!("d{at}/{name}"))).unwrap();
                    }
                }
                fs::create_dir(inside.join("d30")).unwrap();
            },
        ),
        (
            "a link to a large file",
            "",
            Refused(&["a/x.txt is a symbolic link to", "outside the corpus"]),
            |inside, outside| {
                sparse(&outside.join("3.bin"), 3 << 30);
                symlink(outside.join("3.bin"), inside.join("a/x.txt")).unwrap();
            },
        ),
    ]
}

fn files() -> Vec<Made> {
    vec![
        ("a FIFO", "", Refused(&["a/x.txt is a FIFO, not a plain file"]), |inside, _| {
            fifo(&inside.join("a/x.txt"))
        }),
        (
            "a FIFO that is skipped",
            "corpus.bad_files=skip",
            Articles(8, &["a/x.txt is a FIFO"]),
            |inside, _| {
                fifo(&inside.join("a/x.txt"));
            },
        ),
        ("a socket", "", Refused(&["a/s is a socket, not a plain file"]), |inside, _| {
            drop(UnixListener::bind(inside.join("a/s")).unwrap());
        }),
        (
            "a name that is not UTF-8",
            "",
            Refused(&["has a name that is not UTF-8; rename it"]),
            |inside, _| {
                fs::write(inside.join(OsStr::from_bytes(b"a/\x8c\xa9.txt")), article("x")).unwrap();
            },
        ),
        ("names that command the terminal", "", Articles(9, &["c␛[2J␊d"]), |inside, _| {
            write(inside, "c\x1b[2J\nd/x\u{7}.txt", &article("x"));
        }),
        (
            "a bad file whose name commands the terminal",
            "",
            Refused(&["a/x␛[2J.txt has too few lines"]),
            |inside, _| {
                write(inside, "a/x\x1b[2J.txt", b"x");
            },
        ),
        ("a category with a leading dot", "", Articles(9, &[".NET"]), |inside, _| {
            write(inside, ".NET/x.txt", &article("x"));
        }),
        ("only categories with a leading dot", "", Articles(2, &[".a", ".b"]), |inside, _| {
            fs::remove_dir_all(inside).unwrap();
            write(inside, ".a/1.txt", &article("x"));
            write(inside, ".b/2.txt", &article("y"));
        }),
        (
            "files that are no texts",
            "",
            Refused(&["20 are no .txt files: c/00.md, c/01.md, c/02.md and 17 more"]),
            |inside, _| {
                fs::remove_dir_all(inside).unwrap();
                (0..20).for_each(|number| write(inside, &format!("c/{number:02}.md"), b"x"));
            },
        ),
        ("texts in no category", "", Refused(&["stray.txt lies in no category folder"]), |inside, _| {
            write(inside, "stray.txt", &article("x"));
        }),
    ]
}

fn bounds() -> Vec<Made> {
    vec![
        (
            "a terabyte of holes",
            "",
            Refused(&["has 1099511627776", "corpus.limits.source_bytes"]),
            |inside, _| {
                sparse(&inside.join("a/holes.bin"), 1 << 40);
            },
        ),
        ("a text of a terabyte of holes", "", Refused(&["corpus.limits.source_bytes"]), |inside, _| {
            sparse(&inside.join("a/holes.txt"), 1 << 40);
        }),
        (
            "a link to a terabyte of holes",
            "corpus.bad_files=skip",
            Refused(&["corpus.limits.source_bytes"]),
            |inside, outside| {
                sparse(&outside.join("holes"), 1 << 40);
                symlink(outside.join("holes"), inside.join("a/x.txt")).unwrap();
            },
        ),
        (
            "a large text",
            "",
            Refused(&["a/x.txt has 17825792 bytes", "corpus.limits.text_bytes"]),
            |inside, _| {
                sparse(&inside.join("a/x.txt"), 17 << 20);
            },
        ),
        (
            "folders too deep",
            "",
            Refused(&["lies deeper than 32 folders (corpus.limits.depth)"]),
            |inside, _| {
                write(inside, &format!("{}x.txt", "d/".repeat(40)), &article("x"));
            },
        ),
        (
            "too many files",
            "corpus.limits.files=7",
            Refused(&["more than 7 files", "corpus.limits.files"]),
            |_, _| {},
        ),
        (
            "texts beyond a lower bound",
            "corpus.limits.total_bytes=300",
            Refused(&["expected at most 300"]),
            |_, _| {},
        ),
        (
            "a key beyond its bound",
            "corpus.limits.total_bytes=3000000000",
            Refused(&["expected 1 to 2147483647"]),
            |_, _| {},
        ),
    ]
}

/// What is tried, what comes of it, and what makes the corpus in a folder.
type Source = (&'static str, Expected, fn(&Path) -> PathBuf);

fn sources() -> Vec<Source> {
    vec![
        ("a FIFO as the corpus", Refused(&["is neither a file nor a folder"]), |folder| {
            let path = folder.join("corpus.tar.gz");
            fifo(&path);
            path
        }),
        ("a device as the corpus", Refused(&["is neither a file nor a folder"]), |_| "/dev/zero".into()),
        ("a terabyte of holes as the corpus", Refused(&["corpus.limits.source_bytes"]), |folder| {
            let path = folder.join("corpus.tar.gz");
            sparse(&path, 1 << 40);
            path
        }),
        ("a folder without files", Refused(&["no article found; there are no files"]), |folder| {
            let path = folder.join("texts");
            fs::create_dir(&path).unwrap();
            path
        }),
    ]
}
