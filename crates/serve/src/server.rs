//! Listens, answers, and ends gracefully.

use std::future::IntoFuture;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::serve::ListenerExt;
use midashi_stage::Interrupted;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::app::Shared;
use crate::http::router;
use crate::log::say;
use crate::patient::PatientListener;

/// Time beyond the requests' time-out, after which the server ends although connections are open: a client may have
/// sent half a request.
const GRACE: Duration = Duration::from_secs(5);
/// What a second signal does.
const GIVEN_UP: &str = "the requests that had begun are given up";

/// Answers requests until SIGTERM or SIGINT, then those that have begun, until a second signal.
///
/// # Errors
/// When the address cannot be listened on, and [`Interrupted`] after the second signal.
pub fn run(host: IpAddr, port: u16, app: &Shared) -> Result<()> {
    let runtime = Runtime::new().context("cannot start the server's threads")?;
    let served = runtime.block_on(serve(SocketAddr::new(host, port), app));
    // Requests that were given up do not hold the process.
    runtime.shutdown_background();
    served
}

async fn serve(address: SocketAddr, app: &Shared) -> Result<()> {
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("cannot listen on {address}; choose another --host or --port"))?;
    let address = listener.local_addr().context("cannot tell the address of the server")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let (ending, ended) = watch::channel(false);

    let info = &app.info;
    say(&format!("  {}", info.midashi.engine));
    say(&format!(
        "  model {}: {} categories, {} of at most {} tokens",
        info.model_id,
        app.labels.len(),
        if info.midashi.long_texts.is_truncate() { "texts" } else { "windows" },
        info.max_input_length
    ));
    say(&format!("  {}", info.midashi.tokenizer));
    say(&format!("  listening on http://{address}"));

    // A small answer is sent at once.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    // While a request is computed nothing comes, so the connection outlasts it.
    let listener = PatientListener::new(listener, 2 * app.limits.patience());
    let mut begun = ended.clone();
    let server = axum::serve(listener, router(Arc::clone(app)))
        .with_graceful_shutdown(async move {
            let _ = begun.wait_for(|is_ending| *is_ending).await;
        })
        .into_future();
    tokio::pin!(server);
    let name = tokio::select! {
        served = &mut server => return served.context("the server failed"),
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    say(&format!("  {name}: ending after the requests that have begun"));
    let _ = ending.send(true);
    tokio::select! {
        served = timeout(app.limits.patience() + GRACE, server) => match served {
            Ok(served) => served.context("the server failed"),
            Err(_) => {
                say("  some connections stayed open without a request; they are closed");
                Ok(())
            }
        },
        _ = terminate.recv() => bail!(Interrupted(GIVEN_UP.to_owned())),
        _ = interrupt.recv() => bail!(Interrupted(GIVEN_UP.to_owned())),
    }
}
