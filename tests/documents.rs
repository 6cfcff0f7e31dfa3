//! Documents: their length, their links, and that the commands they show exist.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use midashi_tests::root;

/// Folders without documents of ours.
const SKIPPED: [&str; 6] = ["target", "artifacts", "cache", "corpus", "venv", "node_modules"];

#[test]
fn the_front_pages_stay_short() {
    for (name, most) in [("README.md", 150), ("ARCHITECTURE.md", 120)] {
        let lines = fs::read_to_string(root().join(name)).unwrap().lines().count();
        assert!(
            lines <= most,
            "{name} has {lines} lines, expected at most {most}; details belong below docs/"
        );
    }
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") || names_an_item(&document, &link) {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            let is_document = target.extension().is_some_and(|end| end == "md");
            let headings = || anchors(&fs::read_to_string(&target).unwrap());
            if !target.exists() || (is_document && !anchor.is_empty() && !headings().contains(anchor)) {
                broken.push(format!("{}: {link}", shown(&document)));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn japanese_strings_have_one_kind_of_brackets_and_one_word_for_confidence() {
    let tables = string_tables();
    assert!(tables.len() >= 12, "{} tables of strings", tables.len());
    let mut faults = Vec::new();
    let mut count = 0;
    for (path, table) in &tables {
        for (key, said) in table {
            let japanese = said["ja"].as_str().unwrap();
            count += 1;
            // Code is not Japanese: a call has the brackets of its language.
            let prose: String = japanese.split('`').step_by(2).collect::<Vec<_>>().join("|");
            let mut fault = |what: &str| faults.push(format!("{}: {key}: {what}: {japanese}", shown(path)));
            if prose.contains(['(', ')']) {
                fault("brackets are （ and ）");
            }
            if prose.contains("。 ") || prose.contains("、 ") {
                fault("no space after 。 or 、");
            }
            if prose.contains("（ ")
                || prose.contains(" （")
                || prose.contains("） ")
                || prose.contains(" ）")
            {
                fault("no space beside a bracket");
            }
            if prose.contains("信頼度") || prose.contains("自信度") {
                fault("confidence is 確信度");
            }
        }
    }
    assert!(count > 300, "{count} strings");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The tables of strings in both languages: `strings.json`, and the comments that begin templates.
fn string_tables() -> Vec<(PathBuf, serde_json::Map<String, serde_json::Value>)> {
    let mut folders = vec![root().join("crates")];
    let mut tables = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
                continue;
            }
            let name = entry.file_name().into_string().unwrap();
            let json = match name.as_str() {
                "strings.json" => fs::read_to_string(&path).unwrap(),
                name if name.ends_with(".html") => {
                    let text = fs::read_to_string(&path).unwrap();
                    let comment =
                        text.strip_prefix("{# strings\n").and_then(|rest| Some(rest.split_once("#}")?.0));
                    let Some(comment) = comment else { continue };
                    comment.to_owned()
                }
                _ => continue,
            };
            tables.push((path, serde_json::from_str(&json).unwrap()));
        }
    }
    tables
}

#[test]
fn commands_in_the_documents_exist() {
    let (targets, programs) = (make_targets(), programs());
    let mut unknown = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for command in commands(&text) {
            if let Err(what) = check(&command, &document, &targets, &programs) {
                unknown.push(format!("{}: {what} in `{}`", shown(&document), command.join(" ")));
            }
        }
    }
    assert!(unknown.is_empty(), "commands that do not exist:\n{}", unknown.join("\n"));
}

fn shown(document: &Path) -> String {
    document.strip_prefix(root()).unwrap_or(document).display().to_string()
}

/// All Markdown files of the repository.
fn documents() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && !SKIPPED.contains(&&*name) {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 5, "{found:?}");
    found
}

/// The lines of a document by whether they are code, and of what language; without the fences.
fn lines(text: &str) -> Vec<(Option<String>, &str)> {
    let mut language = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &language) {
            (Some(_), Some(_)) => language = None,
            (Some(name), None) => language = Some(name.trim().to_owned()),
            (None, _) => lines.push((language.clone(), line)),
        }
    }
    lines
}

/// Destinations of `[text](destination)`, `[name]: destination` and `src="destination"`, which are not code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for (language, line) in lines(text) {
        if language.is_some() {
            continue;
        }
        // Every other part is between backticks.
        let line: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let html = line.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let reference = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        links.extend(inline.chain(html).chain(reference.map(|(_, link)| link)).map(str::to_owned));
    }
    links
}

/// Whether a link in a crate's front page names an item, which `cargo doc` checks.
fn names_an_item(document: &Path, link: &str) -> bool {
    let is_front_page = document.parent().is_some_and(|folder| folder.join("Cargo.toml").exists());
    is_front_page && link.chars().all(|character| character.is_alphanumeric() || "_:!()".contains(character))
}

/// The anchors that GitHub gives to the headings of a document.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        lines(text).into_iter().filter(|(language, line)| language.is_none() && line.starts_with('#'));
    headings.map(|(_, line)| anchor(line.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || "-_ ".contains(*letter));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The words of each command in the `sh` blocks of a document.
fn commands(text: &str) -> Vec<Vec<String>> {
    let code = lines(text).into_iter().filter(|(language, _)| language.as_deref() == Some("sh"));
    let code: String = code.map(|(_, line)| format!("{line}\n")).collect();
    let mut commands = vec![Vec::new()];
    let (mut word, mut quote, mut in_comment) = (String::new(), None, false);
    for letter in code.replace("\\\n", " ").chars() {
        let ends_word = quote.is_none() && (letter.is_whitespace() || "|;&<>()".contains(letter));
        if ends_word && !word.is_empty() && !in_comment {
            commands.last_mut().unwrap().push(std::mem::take(&mut word));
        }
        match letter {
            '\n' => (in_comment, quote) = (false, None),
            _ if in_comment => continue,
            '#' if quote.is_none() && word.is_empty() => in_comment = true,
            '\'' | '"' if quote == Some(letter) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(letter),
            _ if !ends_word => word.push(letter),
            _ => {}
        }
        if ends_word && "\n|;&(".contains(letter) {
            commands.push(Vec::new());
        }
    }
    commands.retain(|command| !command.is_empty());
    commands
}

fn check(
    command: &[String],
    document: &Path,
    targets: &BTreeSet<String>,
    programs: &BTreeSet<String>,
) -> Result<(), String> {
    let is_assignment = |word: &&String| word.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'));
    let mut words = command.iter().skip_while(is_assignment);
    let Some(program) = words.next() else { return Ok(()) };
    let arguments: Vec<&String> = words.collect();
    let name = program.rsplit('/').next().unwrap_or(program);
    match name {
        "make" => {
            let named = arguments.iter().filter(|word| !is_assignment(word) && !word.starts_with('-'));
            for target in named {
                if !targets.contains(*target) {
                    return Err(format!("no make target {target}"));
                }
            }
        }
        "cargo" => {
            let after = |option: &str| {
                let at = arguments.iter().position(|argument| *argument == option)?;
                arguments.get(at + 1).map(|argument| argument.as_str())
            };
            for option in ["--example", "--bin"] {
                if let Some(name) = after(option).filter(|name| !programs.contains(*name)) {
                    return Err(format!("no example or binary {name}"));
                }
            }
            let package = after("-p").or(after("--package")).and_then(|name| name.strip_prefix("midashi-"));
            if let Some(name) = package.filter(|name| !is_package(name)) {
                return Err(format!("no package midashi-{name}"));
            }
        }
        name if name.starts_with("midashi-") => {
            if !programs.contains(name) {
                return Err(format!("no program {name}"));
            }
            let help = help(name);
            let options = arguments.iter().filter(|argument| argument.starts_with("--"));
            for option in options.map(|option| option.split('=').next().unwrap_or(option)) {
                if !help
                    .split(|letter: char| !(letter.is_alphanumeric() || letter == '-'))
                    .any(|word| word == option)
                {
                    return Err(format!("no option {option}"));
                }
            }
        }
        _ => {}
    }
    let scripts =
        [program].into_iter().chain(arguments).filter(|word| word.ends_with(".py") || word.ends_with(".sh"));
    for script in scripts {
        let places = [root(), document.parent().unwrap().to_owned()];
        if !places.iter().any(|place| place.join(script).exists()) {
            return Err(format!("no script {script}"));
        }
    }
    Ok(())
}

/// Targets of the Makefile, the stages among them.
fn make_targets() -> BTreeSet<String> {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let rules = makefile.lines().filter(|line| !line.starts_with(['\t', ' ', '#']) && !line.contains(":="));
    let names = rules.filter_map(|line| line.split_once(':')).flat_map(|(names, _)| names.split_whitespace());
    let mut targets: BTreeSet<String> = names.map(str::to_owned).collect();
    targets.extend(midashi_tests::STAGES.map(str::to_owned));
    assert!(targets.contains("demo") && targets.contains("test"), "{targets:?}");
    targets
}

/// Binaries and examples of the workspace.
fn programs() -> BTreeSet<String> {
    let mut programs = BTreeSet::new();
    let folders = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    for folder in folders.chain([root().join("tests")]).filter(|folder| folder.join("Cargo.toml").exists()) {
        if folder.join("src/main.rs").exists() {
            programs.insert(format!("midashi-{}", folder.file_name().unwrap().display()));
        }
        let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
        let named = ["bin", "example"].into_iter().filter_map(|kind| manifest.get(kind)?.as_array());
        let named = named.flatten().filter_map(|target| target.get("name")?.as_str());
        programs.extend(named.map(str::to_owned));
        for example in fs::read_dir(folder.join("examples")).into_iter().flatten() {
            programs.extend(example.unwrap().path().file_stem().map(|name| name.display().to_string()));
        }
    }
    programs
}

fn is_package(name: &str) -> bool {
    name == "tests" || root().join("crates").join(name).join("Cargo.toml").exists()
}

fn help(program: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join(program);
    let output = Command::new(&binary).arg("--help").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; `make build` makes it"));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn links_in_code_are_no_links() {
    let text =
        "[a](b.md#c) `[x](y)` ![p](q.png \"title\")\n[ref]: r.md\n```sh\n[no](no)\n```\n<img src=\"s.png\">";
    assert_eq!(links(text), ["b.md#c", "q.png", "r.md", "s.png"]);
    assert_eq!(anchor("Where do I change … `x`?"), "where-do-i-change--x");
}

#[test]
fn commands_are_split_as_a_shell_does() {
    let text = "```sh\nSET='a=1 b=2' make demo  # not this\ncat x | midashi-render --by \"a b\" > y && \\\n  make all\n```\n";
    let commands = commands(text);
    assert_eq!(
        commands,
        [
            &["SET=a=1 b=2", "make", "demo"][..],
            &["cat", "x"],
            &["midashi-render", "--by", "a b", "y"],
            &["make", "all"]
        ]
    );
    let targets = BTreeSet::from(["demo".to_owned()]);
    let check = |at: usize| check(&commands[at], &root().join("README.md"), &targets, &BTreeSet::new());
    assert_eq!(check(0), Ok(()));
    assert_eq!(check(2), Err("no program midashi-render".to_owned()));
    assert_eq!(check(3), Err("no make target all".to_owned()));
}
