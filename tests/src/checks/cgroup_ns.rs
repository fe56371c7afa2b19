//! Step 10: a control group of its own.

use super::Check;

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[];
