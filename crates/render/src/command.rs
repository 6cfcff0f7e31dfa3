//! The command that explains a reader's own version of a text with the run's model.

use std::path::Path;

/// The program, as `make build` leaves it.
const PROGRAM: &str = "target/release/midashi-predict";
/// The name under which the report tells its reader to save the configuration.
const SAVED: &str = "run.toml";

/// Keys whose values are folders of this machine.
const FOLDERS: [&str; 2] = ["run.artifacts", "run.cache"];

/// The command without method and text, with words quoted for a shell. `overrides` are the configuration keys that
/// were set on the command line; those that `midashi-predict` depends on are kept.
///
/// Paths of this machine mean nothing to most readers. A configuration that was named with an absolute path, or whose folders
/// were set on the command line, is replaced by `run.toml`, which the report contains.
pub fn command(config: &Path, run: &str, overrides: &[String]) -> String {
    let key = |set: &String| set.split('=').next().unwrap_or_default().trim().to_owned();
    let names_folder = |set: &String| FOLDERS.contains(&key(set).as_str());
    let is_kept = |set: &&String| {
        let key = key(set);
        key.starts_with("run.") && key != "run.name" && !names_folder(set)
    };
    let is_foreign = config.is_absolute() || overrides.iter().any(names_folder);
    let config = if is_foreign { SAVED.into() } else { config.to_string_lossy() };
    let mut words = vec![PROGRAM.to_owned(), "--config".to_owned(), config.into_owned()];
    for set in overrides.iter().filter(is_kept).cloned().chain([format!("run.name={run}")]) {
        words.extend(["--set".to_owned(), set]);
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word that a POSIX shell takes as it is, in single quotes unless it needs none.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_command_names_the_configuration_and_the_run() {
        let set = ["train.epochs=3".to_owned(), "run.threads=2".to_owned(), "run.name=x".to_owned()];
        assert_eq!(
            command(Path::new("data/sample.toml"), "my run", &set),
            "target/release/midashi-predict --config data/sample.toml --set run.threads=2 --set 'run.name=my run'"
        );
        let other = command(Path::new("/home/me/pipeline.toml"), "article", &[]);
        assert_eq!(other, "target/release/midashi-predict --config run.toml --set run.name=article");
    }

    #[test]
    fn the_command_has_no_folder_of_this_machine() {
        for set in ["run.artifacts=/data/my runs", " run.cache = '../cache'"] {
            assert_eq!(
                command(Path::new("data/sample.toml"), "x", &[set.to_owned()]),
                "target/release/midashi-predict --config run.toml --set run.name=x"
            );
        }
    }

    #[test]
    fn a_shell_reads_each_word_as_it_was() {
        for word in ["plain", "", "it's", "two words", "$(echo x) `y` \"z\" \\ !", "改行\nと 空白", "-", "*"]
        {
            let script = format!("printf %s {}", quoted(word));
            let output = Command::new("sh").args(["-c", &script]).output();
            let printed = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            assert_eq!(printed.ok().as_deref(), Some(word), "{script}");
        }
    }
}
