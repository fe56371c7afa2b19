//! How long ago something was, in Docker's words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads the beginning of a time as RFC 3339 has it, `2024-11-02T10:00:00Z`, in UTC.
fn seconds(time: &str) -> Option<u64> {
    let number = |from: usize, to: usize| time.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // The year begins in March here, so that the day that comes and goes is its last.
    let years = if month < 3 { year.checked_sub(1)? } else { year };
    let months = (month + 9) % 12;
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day;
    // From 1 March of the year 0 to 1970.
    let days = days.checked_sub(719_469)?;
    Some(days * 86400 + hour * 3600 + minute * 60 + second)
}

/// `3 weeks ago`.
pub fn ago(time: &str) -> Option<String> {
    let then = UNIX_EPOCH + Duration::from_secs(seconds(time)?);
    Some(words(SystemTime::now().duration_since(then).unwrap_or_default().as_secs()))
}

fn words(seconds: u64) -> String {
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    let units = [
        (2 * 365 * DAY, 365 * DAY, "years"),
        (60 * DAY, 30 * DAY, "months"),
        (14 * DAY, 7 * DAY, "weeks"),
        (2 * DAY, DAY, "days"),
        (2 * HOUR, HOUR, "hours"),
        (120, 60, "minutes"),
        (0, 1, "seconds"),
    ];
    let unit = units.iter().find(|(from, ..)| seconds >= *from);
    unit.map_or_else(String::new, |(_, one, name)| format!("{} {name} ago", seconds / one))
}

#[cfg(test)]
mod tests {
    use super::{seconds, words};

    #[test]
    fn a_time_is_read() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2000-03-01T12:00:00Z"), Some(951_912_000));
        assert_eq!(seconds("2024-02-29T00:00:01.5Z"), Some(1_709_164_801));
        assert_eq!(seconds("yesterday"), None);
    }

    #[test]
    fn the_largest_unit_of_which_there_are_two_is_said() {
        assert_eq!(words(90), "90 seconds ago");
        assert_eq!(words(3 * 7 * 86400), "3 weeks ago");
    }
}
