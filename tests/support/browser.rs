//! A headless Chromium, driven over its DevTools pipe.
//!
//! The protocol is JSON messages that end in a zero byte, on two file descriptors, so this module only needs
//! `serde_json`. The crates for it (`chromiumoxide`, `headless_chrome`) bring an asynchronous runtime or a WebSocket,
//! and the whole protocol as types. `fantoccini` and `thirtyfour` need a chromedriver of the browser's exact version.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::RwLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::environment::{folder, root};

/// Timeout of a wait for a page, which normally takes a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A child process that is starting briefly holds this process's folder locks, so no child is started while a test
/// holds such a lock.
pub static STARTING: RwLock<()> = RwLock::new(());

/// A browser with one page.
pub struct Browser {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    sent: u64,
    /// Events that arrived while the browser answered calls.
    events: Vec<Value>,
    /// The only place on the network that a page may load from, such as `http://127.0.0.1:8080/`.
    origin: Option<String>,
    /// Removed at the end.
    _profile: TempDir,
}

/// The browser for tests: `CHROMIUM`, or the first of Debian's and Chrome's names in the path.
pub fn installed() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM").filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

/// axe-core's script, which `make test` downloads, or `None` after reporting that accessibility is not tested.
pub fn axe() -> Option<String> {
    let path = root().join("cache/axe/axe.min.js");
    let script = std::fs::read_to_string(&path).ok();
    if script.is_none() {
        tell(&format!("SKIPPED accessibility: no axe-core at {} (make test brings it)", path.display()));
    }
    script
}

/// Prints a line without the test harness, which hides the output of passing tests.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl Browser {
    /// Starts `program` with its own profile and a window of `size` pixels.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(program: &Path, (width, height): (u32, u32)) -> Self {
        let profile = folder();
        // DevTools' pipe uses descriptors 3 and 4, which a shell can set and the standard library cannot.
        let starting = STARTING.write();
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--remote-debugging-pipe", "--no-first-run", "--lang=en"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        drop(starting);
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut browser = Self {
            process,
            input,
            output,
            session: None,
            sent: 0,
            events: vec![],
            origin: None,
            _profile: profile,
        };
        let deadline = Instant::now() + PATIENCE;
        let target = loop {
            let targets = browser.call("Target.getTargets", &json!({}));
            let mut targets = targets["targetInfos"].as_array().unwrap().iter();
            if let Some(page) = targets.find(|target| target["type"] == "page") {
                break page["targetId"].clone();
            }
            assert!(Instant::now() < deadline, "the browser opens no page");
        };
        let attached = browser.call("Target.attachToTarget", &json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        browser.call("Emulation.setDeviceMetricsOverride", &size);
        browser
    }

    /// Calls a method and waits for its result.
    ///
    /// # Panics
    /// When the browser ends or refuses.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        self.input.flush().unwrap();
        loop {
            let mut answer = Vec::new();
            self.output.read_until(0, &mut answer).unwrap();
            assert_eq!(answer.pop(), Some(0), "the browser ended during {method}");
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["id"] == self.sent {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    /// Opens the file `page` with `fragment` and waits until it is loaded and has the element `id`.
    pub fn open(&mut self, page: &Path, fragment: &str, id: &str) {
        self.load(&format!("file://{}{fragment}", page.display()), id);
    }

    /// Opens the page of a server, such as `http://127.0.0.1:8080/`, and waits likewise. The page may load from that
    /// server only.
    pub fn open_served(&mut self, url: &str, id: &str) {
        self.origin = Some(url.to_owned());
        self.load(url, id);
    }

    fn load(&mut self, url: &str, id: &str) {
        // The same file with another fragment would not be loaded again.
        self.call("Page.navigate", &json!({"url": "about:blank"}));
        self.wait_until("location.href === 'about:blank'");
        self.call("Page.navigate", &json!({"url": url}));
        self.wait_until(&format!(
            "document.readyState === 'complete' && document.getElementById({}) !== null",
            json!(id)
        ));
    }

    /// The value of a JavaScript expression; promises are awaited.
    ///
    /// # Panics
    /// When it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", &asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// The value of an expression that is a string.
    ///
    /// # Panics
    /// When it is not.
    pub fn text(&mut self, expression: &str) -> String {
        let value = self.evaluate(expression);
        assert!(value.is_string(), "{expression} is {value}");
        value.as_str().unwrap().to_owned()
    }

    /// Waits until a JavaScript expression is true.
    ///
    /// # Panics
    /// When it never is.
    pub fn wait_until(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.evaluate(expression) != true {
            assert!(Instant::now() < deadline, "never true: {expression}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Presses and releases a key, such as `j`, `?` or `Escape`.
    pub fn press(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        self.call("Input.dispatchKeyEvent", &json!({"type": "keyDown", "key": key, "text": text}));
        self.call("Input.dispatchKeyEvent", &json!({"type": "keyUp", "key": key}));
    }

    /// Types into the focused element.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// Clicks the middle of the element `selector` with the mouse.
    pub fn click(&mut self, selector: &str) {
        let place = self.evaluate(&format!(
            "(() => {{ const it = document.querySelector({}); it.scrollIntoView({{block: 'center'}});
               const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// Sets the control `name` of the page's form `form` to `value`. Radio buttons of one name are one control.
    pub fn choose(&mut self, form: &str, name: &str, value: &str) {
        self.evaluate(&format!(
            "(() => {{ const it = document.getElementById({}).elements.namedItem({}); it.value = {};
               (it instanceof RadioNodeList ? it[0] : it).dispatchEvent(new Event('input', {{bubbles: true}})); }})()",
            json!(form),
            json!(name),
            json!(value)
        ));
    }

    /// axe-core's violations in the current page, into which its script ([`axe`]) was loaded, by rule and place.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn inaccessible(&mut self) -> Vec<String> {
        let found = self.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations.flatMap((rule) =>
               rule.nodes.map((node) => `${rule.impact} ${rule.id}: ${node.target} ${node.failureSummary}`)))",
        );
        found.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    }

    /// Errors and warnings in the console, alerts, and network requests since the start.
    pub fn complaints(&mut self) -> Vec<String> {
        self.evaluate("0");
        let harmless = HashSet::from(["file", "data", "blob", "about"]);
        let complaint = |event: &Value| match event["method"].as_str()? {
            "Runtime.exceptionThrown"
            | "Log.entryAdded"
            | "Runtime.consoleAPICalled"
            | "Page.javascriptDialogOpening" => Some(event.to_string()),
            "Network.requestWillBeSent" => {
                let url = event["params"]["request"]["url"].as_str()?;
                let is_own = self.origin.as_ref().is_some_and(|origin| url.starts_with(origin.as_str()));
                (!is_own && !harmless.contains(url.split(':').next()?)).then(|| url.to_owned())
            }
            _ => None,
        };
        self.events.iter().filter_map(complaint).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
