//! Panics, which are answered as errors.

/// Prints the place of a panic and not its message, which may hold the text of a request.
pub fn hide_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        midashi_stage::errln!("  error: a request failed with a panic at {place}");
    }));
}
