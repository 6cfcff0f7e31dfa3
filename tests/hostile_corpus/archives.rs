//! The archives.

use std::fs;

use midashi_tests::folder;

use crate::archive::{BLOCK, Tar, article, base_256, corpus, gzip, octal, replaced, zip, zstd};
use crate::case::Expected::{Articles, Refused};
use crate::case::{Case, Expected, MEMORY};

type Made = (&'static str, &'static str, Expected, fn() -> (&'static str, Vec<u8>));

/// The sizes that the bombs unpack to are beyond what is allowed here, and small enough for a test.
const SMALL_BOMB: usize = 96 << 20;

/// Tries all and returns their number.
pub fn try_all() -> usize {
    let all: Vec<Made> = [forms(), padding(), links(), names(), kinds(), headers(), bombs(), contents()]
        .into_iter()
        .flatten()
        .collect();
    let count = all.len();
    for (name, set, expected, make) in all {
        let folder = folder();
        let (file, bytes) = make();
        let source = folder.path().join(file);
        fs::write(&source, bytes).unwrap();
        // Texts of a gibibyte are within the default bound, and are held in memory.
        let memory = if name.starts_with("large texts") { 5 * MEMORY } else { MEMORY };
        Case { name, set, memory, expected }.check(&source, folder.path());
    }
    count
}

fn tar_gz(tar: Tar) -> (&'static str, Vec<u8>) {
    ("corpus.tar.gz", gzip(&tar.end()))
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn forms() -> Vec<Made> {
    vec![
        ("tar", "", Articles(8, &[]), || ("corpus.tar", Tar::corpus().end())),
        ("tar.gz", "", Articles(8, &[]), || tar_gz(Tar::corpus())),
        ("tar.zst", "", Articles(8, &[]), || ("corpus.tar.zst", zstd(&Tar::corpus().end()))),
        ("zip", "", Articles(8, &[]), || ("corpus.zip", zip(&[]))),
        ("zip behind other bytes", "", Articles(8, &[]), || {
            ("corpus.zip", joined(&[b"PK self-extracting ", &zip(&[])]))
        }),
        ("nothing", "", Refused(&["corpus.tar.gz", "fetch it again"]), || ("corpus.tar.gz", vec![])),
        ("a page instead of an archive", "", Refused(&["fetch it again"]), || {
            ("corpus.tar.gz", b"<!doctype html><title>Log in</title>".to_vec())
        }),
        ("gzip of nothing", "", Refused(&["no article found; there are no files"]), || {
            ("corpus.tar.gz", gzip(b""))
        }),
        ("gzip of noise", "", Refused(&["fetch it again"]), || ("corpus.tar.gz", gzip(&[7; 5000]))),
        ("an archive that is cut off", "", Refused(&["fetch it again"]), || {
            let whole = gzip(&Tar::corpus().end());
            ("corpus.tar.gz", whole[..whole.len() / 2].to_vec())
        }),
        ("a tar that is cut off inside gzip", "", Refused(&["the archive is cut off"]), || {
            ("corpus.tar.gz", gzip(&Tar::corpus().0[..1000]))
        }),
        ("a tar that is cut off", "", Refused(&["the archive is cut off"]), || {
            ("corpus.tar", Tar::corpus().end()[..2048].to_vec())
        }),
        ("another checksum of gzip", "", Refused(&["fetch it again"]), || {
            let mut bytes = gzip(&Tar::corpus().end());
            let at = bytes.len() - 8;
            bytes[at] ^= 1;
            ("corpus.tar.gz", bytes)
        }),
        ("a damaged zip", "", Refused(&["fetch it again"]), || {
            let whole = zip(&[]);
            ("corpus.zip", whole[..whole.len() / 2].to_vec())
        }),
    ]
}

fn padding() -> Vec<Made> {
    vec![
        ("zeros of a tape behind gzip", "", Articles(8, &[]), || {
            ("corpus.tar.gz", joined(&[&gzip(&Tar::corpus().end()), &[0; 10_240]]))
        }),
        ("one zero behind gzip", "", Articles(8, &[]), || {
            ("corpus.tar.gz", joined(&[&gzip(&Tar::corpus().end()), &[0]]))
        }),
        ("zeros behind Zstandard", "", Articles(8, &[]), || {
            ("corpus.tar.zst", joined(&[&zstd(&Tar::corpus().end()), &[0; 10_240]]))
        }),
        ("more zeros behind tar", "", Articles(8, &[]), || {
            ("corpus.tar", joined(&[&Tar::corpus().end(), &[0; 10_240]]))
        }),
        ("two members of gzip", "", Articles(8, &[]), || {
            let tar = Tar::corpus().end();
            ("corpus.tar.gz", joined(&[&gzip(&tar[..777]), &gzip(&tar[777..])]))
        }),
        ("two frames of Zstandard", "", Articles(8, &[]), || {
            let tar = Tar::corpus().end();
            ("corpus.tar.zst", joined(&[&zstd(&tar[..777]), &zstd(&tar[777..])]))
        }),
        ("other bytes behind gzip", "", Refused(&["fetch it again"]), || {
            ("corpus.tar.gz", joined(&[&gzip(&Tar::corpus().end()), b"rest"]))
        }),
        ("other bytes behind zeros behind gzip", "", Refused(&["other bytes follow the zeros"]), || {
            ("corpus.tar.gz", joined(&[&gzip(&Tar::corpus().end()), &[0; 600], b"rest"]))
        }),
        ("two archives in one", "", Refused(&["several archives in one file", "unpack them"]), || {
            ("corpus.tar.gz", gzip(&joined(&[&Tar::corpus().end(), &Tar::corpus().end()])))
        }),
    ]
}

fn links() -> Vec<Made> {
    vec![
        ("a hard link", "", Articles(9, &[]), || {
            tar_gz(Tar::corpus().entry(b"b/b9.txt", b'1', b"a/a0.txt", b""))
        }),
        (
            "a hard link to nothing",
            "",
            Refused(&["b/b9.txt is a hard link to a/none.txt", "corpus.bad_files=skip"]),
            || tar_gz(Tar::corpus().entry(b"b/b9.txt", b'1', b"a/none.txt", b"")),
        ),
        (
            "a hard link to outside",
            "",
            Refused(&["a hard link to ../../etc/passwd, which leaves the archive"]),
            || tar_gz(Tar::corpus().entry(b"b/b9.txt", b'1', b"../../etc/passwd", b"")),
        ),
        ("a symbolic link", "", Articles(9, &[]), || {
            tar_gz(Tar::corpus().entry(b"b/b9.txt", b'2', b"../a/a0.txt", b""))
        }),
        (
            "a symbolic link to outside",
            "",
            Refused(&["a symbolic link to ../../x.txt, which is outside"]),
            || tar_gz(Tar::corpus().entry(b"b/b9.txt", b'2', b"../../x.txt", b"")),
        ),
        (
            "a symbolic link to /etc",
            "",
            Refused(&["a symbolic link to /etc/passwd, which is outside"]),
            || tar_gz(Tar::corpus().entry(b"b/b9.txt", b'2', b"/etc/passwd", b"")),
        ),
        ("a symbolic link to itself", "", Refused(&["which is no text of the archive"]), || {
            tar_gz(Tar::corpus().entry(b"b/b9.txt", b'2', b"b9.txt", b""))
        }),
        ("a symbolic link to a category", "", Refused(&["c is a symbolic link to the folder a"]), || {
            tar_gz(Tar::corpus().entry(b"c", b'2', b"a", b""))
        }),
        (
            "links to a text, too many",
            "corpus.limits.total_bytes=1000000",
            Refused(&["the links lead to texts of more"]),
            || {
                let large = Tar::corpus().file(b"a/x.txt", &[article("x"), vec![b'x'; 100_000]].concat());
                let link = |tar: Tar, number: usize| {
                    tar.entry(format!("b/x{number}.txt").as_bytes(), b'1', b"a/x.txt", b"")
                };
                tar_gz((0..20).fold(large, link))
            },
        ),
        (
            "many links to nothing",
            "corpus.bad_files=skip",
            Articles(8, &["skipped 100000 bad files"]),
            || {
                let link = |tar: Tar, number: usize| {
                    tar.entry(format!("b/x{number}.txt").as_bytes(), b'2', b"none.txt", b"")
                };
                tar_gz((0..100_000).fold(Tar::corpus(), link))
            },
        ),
        (
            "refused links that are skipped",
            "corpus.bad_files=skip",
            Articles(8, &["skipped 2 bad files"]),
            || tar_gz(Tar::corpus().entry(b"b/b8.txt", b'2', b"/x", b"").entry(b"b/b9.txt", b'1', b"x", b"")),
        ),
        ("a file that occurs twice", "", Articles(8, &["replaced 1 files", "a/a0.txt"]), || {
            tar_gz(Tar::corpus().file(b"./a/a0.txt", &article("後の見出し")))
        }),
        ("a file that occurs twice in zip", "", Articles(9, &["replaced 1 files", "a/x1.txt"]), || {
            let two = zip(&[("a/x1.txt", &article("前")), ("a/x2.txt", &article("後"))]);
            ("corpus.zip", replaced(&two, b"a/x2.txt", b"a/x1.txt"))
        }),
    ]
}

fn names() -> Vec<Made> {
    vec![
        ("two dots", "", Refused(&["../a/x.txt leaves the archive", "corpus.bad_files=skip"]), || {
            tar_gz(Tar::corpus().file(b"../a/x.txt", &article("x")))
        }),
        ("two dots inside", "", Refused(&["a/../../x.txt leaves the archive"]), || {
            tar_gz(Tar::corpus().file(b"a/../../x.txt", &article("x")))
        }),
        ("two dots in zip", "", Refused(&["../x.txt leaves the archive"]), || {
            ("corpus.zip", zip(&[("../x.txt", &article("x"))]))
        }),
        ("an absolute path", "", Refused(&["/a/x.txt leaves the archive (its path is absolute)"]), || {
            tar_gz(Tar::corpus().file(b"/a/x.txt", &article("x")))
        }),
        ("a name that is not UTF-8", "", Refused(&["has a name that is not UTF-8; rename it"]), || {
            tar_gz(Tar::corpus().file(b"a/\x8c\xa9.txt", &article("x")))
        }),
        ("names that command the terminal", "", Articles(9, &["c␛]0;owned␇␛[2J"]), || {
            tar_gz(Tar::corpus().file(b"c\x1b]0;owned\x07\x1b[2J/x\n.txt", &article("x")))
        }),
        (
            "a bad file whose name commands the terminal",
            "",
            Refused(&["a/x␛[2J␊y.txt has too few lines"]),
            || tar_gz(Tar::corpus().file(b"a/x\x1b[2J\ny.txt", b"x")),
        ),
        ("a category with a leading dot", "", Articles(9, &[".NET"]), || {
            tar_gz(Tar::corpus().file(b".NET/x.txt", &article("x")))
        }),
        ("the folders of programs", "", Articles(8, &["skipped 2 files that are no .txt"]), || {
            tar_gz(Tar::corpus().file(b".git/x.txt", b"x").file(b"__MACOSX/a/._a0.txt", b"x"))
        }),
        ("a name of two spellings", "", Articles(10, &["2 spellings of \"が\" look the same"]), || {
            let tar = Tar::corpus().file("が/x.txt".as_bytes(), &article("x"));
            tar_gz(tar.file("か\u{3099}/y.txt".as_bytes(), &article("y")))
        }),
        ("a long name of GNU", "", Articles(9, &[]), || {
            let long = format!("a/{}.txt\0", "x".repeat(3000));
            tar_gz(
                Tar::corpus()
                    .entry(b"././@LongLink", b'L', b"", long.as_bytes())
                    .file(b"short", &article("x")),
            )
        }),
        ("a name with a line feed in pax", "", Articles(9, &[]), || {
            tar_gz(Tar::corpus().pax(&[("path", "a/x\ny.txt")]).file(b"other.txt", &article("x")))
        }),
        (
            "a name of a megabyte",
            "",
            Refused(&["a/a/a/", "… has a name of more than 4096 bytes; rename it"]),
            || {
                let long = format!("{}x.txt\0", "a/".repeat((1 << 19) - 10));
                tar_gz(
                    Tar::corpus()
                        .entry(b"././@LongLink", b'L', b"", long.as_bytes())
                        .file(b"short", &article("x")),
                )
            },
        ),
    ]
}

fn kinds() -> Vec<Made> {
    fn of(kind: u8) -> (&'static str, Vec<u8>) {
        tar_gz(Tar::corpus().entry(b"a/x.txt", kind, b"", b""))
    }
    vec![
        ("a character device", "", Refused(&["a/x.txt is a device, not a plain file"]), || of(b'3')),
        ("a block device", "", Refused(&["a/x.txt is a device, not a plain file"]), || of(b'4')),
        ("a FIFO", "", Refused(&["a/x.txt is a FIFO, not a plain file"]), || of(b'6')),
        ("a folder", "", Articles(8, &[]), || of(b'5')),
        ("a contiguous file", "", Articles(9, &[]), || {
            tar_gz(Tar::corpus().entry(b"a/x.txt", b'7', b"", &article("x")))
        }),
        ("an unknown kind", "", Refused(&["a/x.txt is of an unknown type"]), || of(b'Z')),
        ("a sparse file of GNU", "", Refused(&["a/x.txt is a sparse file"]), || of(b'S')),
        (
            "a sparse file of GNU with a longer map",
            "corpus.bad_files=skip",
            Articles(9, &["a sparse file"]),
            || {
                let mut tar = Tar::corpus();
                let at = tar.0.len();
                tar = tar.header(b"a/holes.txt", b'S', b"", &octal(0));
                // The mark that a block follows, with the sum that it changes.
                tar.0[at + 482] = 1;
                tar.0[at + 148..at + 156].fill(b' ');
                let sum: u32 = tar.0[at..at + BLOCK].iter().map(|&byte| u32::from(byte)).sum();
                tar.0[at + 148..at + 155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
                tar_gz(tar.bytes(&[0; BLOCK]).file(b"a/x.txt", &article("x")))
            },
        ),
        ("a sparse file of pax", "", Refused(&["a/holes.txt is a sparse file"]), || {
            let records = [("GNU.sparse.major", "1"), ("GNU.sparse.name", "a/holes.txt")];
            tar_gz(Tar::corpus().pax(&records).file(b"GNUSparseFile.0/holes.txt", b"1\n0\n0\n"))
        }),
        ("a global header of pax", "", Articles(8, &[]), || {
            tar_gz(Tar::default().entry(b"pax", b'g', b"", b"19 comment=commit1\n").bytes(&Tar::corpus().0))
        }),
    ]
}

fn headers() -> Vec<Made> {
    vec![
        (
            "a long name of a gibibyte",
            "",
            Refused(&["a long name of 1073741824 bytes", "corpus.limits.header_bytes"]),
            || {
                tar_gz(
                    Tar::corpus().header(b"././@LongLink", b'L', b"", &octal(1 << 30)).bytes(&[b'a'; 4096]),
                )
            },
        ),
        (
            "a link's long name of a gibibyte",
            "",
            Refused(&["of 1073741824 bytes", "corpus.limits.header_bytes"]),
            || {
                tar_gz(
                    Tar::corpus().header(b"././@LongLink", b'K', b"", &octal(1 << 30)).bytes(&[b'a'; 4096]),
                )
            },
        ),
        ("a pax header of four gibibytes", "", Refused(&["an extended header of 4294967296 bytes"]), || {
            tar_gz(Tar::corpus().header(b"pax", b'x', b"", &octal(1 << 32)).bytes(&[b'a'; 4096]))
        }),
        (
            "a long name beyond a lower bound",
            "corpus.limits.header_bytes=1000",
            Refused(&["expected at most 1000"]),
            || tar_gz(Tar::corpus().entry(b"././@LongLink", b'L', b"", &[b'a'; 1001]).file(b"x", b"")),
        ),
        (
            "a pax header without records",
            "",
            Refused(&["the extended header has no record at byte 0"]),
            || tar_gz(Tar::corpus().entry(b"pax", b'x', b"", b"nonsense\n").file(b"a/x.txt", &article("x"))),
        ),
        ("a pax size that is no number", "", Refused(&["the extended header's size is no number"]), || {
            tar_gz(Tar::corpus().pax(&[("size", "many")]).file(b"a/x.txt", &article("x")))
        }),
        ("a size of 2^63", "", Refused(&["fetch it again"]), || {
            tar_gz(Tar::corpus().header(b"a/x.bin", b'0', b"", &base_256(1 << 63)))
        }),
        ("a text of 2^63", "", Refused(&["a/x.txt has 9223372036854775808 bytes"]), || {
            tar_gz(Tar::corpus().header(b"a/x.txt", b'0', b"", &base_256(1 << 63)))
        }),
        ("a size of 2^64 - 1", "corpus.bad_files=skip", Refused(&["fetch it again"]), || {
            tar_gz(Tar::corpus().header(b"a/x.txt", b'0', b"", &base_256(u64::MAX)))
        }),
        ("a size that is no number", "", Refused(&["fetch it again"]), || {
            tar_gz(Tar::corpus().header(b"a/x.txt", b'0', b"", b"not a size!\0"))
        }),
    ]
}

fn bombs() -> Vec<Made> {
    const BOUND: &str = "corpus.limits.unpacked_bytes=67108864";
    vec![
        (
            "a bomb of gzip in a text",
            BOUND,
            Refused(&["a/x.txt has 100663296 bytes", "corpus.limits.text_bytes"]),
            || tar_gz(Tar::corpus().file(b"a/x.txt", &vec![0; SMALL_BOMB])),
        ),
        ("a bomb of gzip in another file", BOUND, Refused(&["unpacks to more than 67108864 bytes"]), || {
            tar_gz(Tar::corpus().file(b"a/x.bin", &vec![0; SMALL_BOMB]))
        }),
        ("a bomb of gzip behind the end", BOUND, Refused(&["unpacks to more than 67108864 bytes"]), || {
            ("corpus.tar.gz", gzip(&joined(&[&Tar::corpus().end(), &vec![0; SMALL_BOMB]])))
        }),
        ("a bomb of Zstandard", BOUND, Refused(&["corpus.limits.unpacked_bytes"]), || {
            ("corpus.tar.zst", zstd(&joined(&[&Tar::corpus().end(), &vec![0; SMALL_BOMB]])))
        }),
        ("a bomb of zip in a text", "", Refused(&["a/x.txt has 100663296 bytes"]), || {
            ("corpus.zip", zip(&[("a/x.txt", &vec![0; SMALL_BOMB])]))
        }),
        (
            "a bomb of zip in texts",
            "corpus.limits.unpacked_bytes=1000000",
            Refused(&["more than 1000000 bytes"]),
            || {
                let text = [article("x"), vec![b'x'; 700_000]].concat();
                ("corpus.zip", zip(&[("a/x.txt", &text), ("a/y.txt", &text)]))
            },
        ),
        ("a bomb of zip in another file", "", Articles(8, &["skipped 1 files that are no .txt"]), || {
            ("corpus.zip", zip(&[("a/x.bin", &vec![0; SMALL_BOMB])]))
        }),
        ("200,000 tiny files", "", Articles(200_008, &[]), || tar_gz(tiny_files(200_000))),
        (
            "too many tiny files",
            "corpus.limits.files=1000",
            Refused(&["more than 1000 files", "corpus.limits.files"]),
            || tar_gz(tiny_files(2000)),
        ),
        (
            "too many files in zip",
            "corpus.limits.files=7",
            Refused(&["has 8 files, expected at most 7"]),
            || ("corpus.zip", zip(&[])),
        ),
        ("large texts, too many", "", Refused(&["the texts have", "corpus.limits.total_bytes"]), || {
            let large = [article("x"), vec![b'x'; (16 << 20) - 100]].concat();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, &Tar::corpus().0).unwrap();
            for number in 0..80 {
                let entry = Tar::default().file(format!("a/x{number}.txt").as_bytes(), &large);
                std::io::Write::write_all(&mut encoder, &entry.0).unwrap();
            }
            std::io::Write::write_all(&mut encoder, &Tar::default().end()).unwrap();
            ("corpus.tar.gz", encoder.finish().unwrap())
        }),
        (
            "texts beyond a lower bound",
            "corpus.limits.total_bytes=300",
            Refused(&["expected at most 300"]),
            || tar_gz(Tar::corpus()),
        ),
        (
            "a text beyond a lower bound",
            "corpus.limits.text_bytes=50 corpus.bad_files=skip",
            Refused(&["8 cannot be read"]),
            || tar_gz(Tar::corpus()),
        ),
    ]
}

fn tiny_files(count: usize) -> Tar {
    (0..count)
        .fold(Tar::corpus(), |tar, number| tar.file(format!("a/x{number}.txt").as_bytes(), b"http://a/\n\nx"))
}

fn contents() -> Vec<Made> {
    fn with(text: impl Fn(usize) -> Vec<u8>) -> (&'static str, Vec<u8>) {
        let files = corpus().into_iter().enumerate();
        tar_gz(
            files.fold(Tar::default(), |tar, (number, (path, _))| tar.file(path.as_bytes(), &text(number))),
        )
    }
    vec![
        (
            "texts without URL and date",
            "",
            Refused(&["none of the 8 texts", "set corpus.layout=title-first"]),
            || with(|number| format!("見出し{number}\n一行目\n二行目\n三行目").into_bytes()),
        ),
        ("titles alone", "", Refused(&["has too few lines: 1", "set corpus.layout=title-first"]), || {
            with(|number| format!("見出し{number}").into_bytes())
        }),
        (
            "texts with URL and date",
            "corpus.layout=title-first",
            Refused(&["set corpus.layout=livedoor"]),
            || with(|number| article(&format!("見出し{number}"))),
        ),
        ("texts that end lines with a carriage return", "", Articles(8, &[]), || {
            with(|number| replaced(&article(&format!("見出し{number}")), b"\n", b"\r"))
        }),
        (
            "20 files that are no texts",
            "",
            Refused(&["20 are no .txt files: a/00.md, a/01.md, a/02.md and 17 more"]),
            || {
                tar_gz((0..20).fold(Tar::default(), |tar, number| {
                    tar.file(format!("a/{number:02}.md").as_bytes(), b"x")
                }))
            },
        ),
        ("an archive in the archive", "", Refused(&["1 are no .txt files: corpus.tar.gz"]), || {
            tar_gz(Tar::default().file(b"corpus.tar.gz", &gzip(&Tar::corpus().end())))
        }),
        (
            "a table in the archive",
            "",
            Refused(&["no article found, but data/train.csv; unpack the archive"]),
            || tar_gz(Tar::default().file(b"data/train.csv", b"text,label\n")),
        ),
        ("one category", "", Refused(&["all 1 articles are of one category"]), || {
            tar_gz(Tar::default().file(b"a/x.txt", &article("x")))
        }),
    ]
}
