//! The addresses of the server, a file each.

mod about;
mod body;
mod explain;
mod guard;
mod openapi;
mod page;
mod paths;
mod predict;
mod router;
mod texts;

pub use router::router;
