//! Whether explanations are faithful: the words that a method marks are erased, and the model classifies
//! the text again (ERASER, DeYoung et al. 2020).

mod eraser;
mod erasure;
mod head;
mod kendall;
mod measure;
mod table;

pub use self::eraser::Eraser;
pub use self::erasure::units_of;
pub use self::head::best_head;
pub use self::measure::{WeightedText, measure};
pub use self::table::table;
