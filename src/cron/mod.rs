//! Cron expressions: the text, the wall-clock times that it names, and the instants of those in a time zone.
//!
//! # The text
//!
//! Five fields, six with seconds first, seven with years last too; blanks between them, upper and lower case the same.
//! Without seconds it is second 0, without years every year.
//!
//! | field | values | names |
//! |---|---|---|
//! | second | 0–59 | |
//! | minute | 0–59 | |
//! | hour | 0–23 | |
//! | day of month | 1–31 | |
//! | month | 1–12 | `JAN`–`DEC` |
//! | day of week | 0–7, Sunday is 0 and 7 | `SUN`–`SAT` |
//! | year | 1970–2199 | |
//!
//! A field is a list of items with commas between them. An item is
//!
//! - `*`, every value; `?` says the same of a day field, alone in it ([Quartz]),
//! - `a`, a value, or `a-b`, a range, which may run past the end and on from the start, except in years: `22-2`,
//!   `FRI-MON` ([POSIX] has lists and ranges, without that),
//! - `*/n` or `a-b/n`, every `n`-th of them, beginning with the first ([Vixie]); `a/n` is refused, because it means one
//!   thing to Vixie's cron and another to Quartz,
//! - `H` or `H(a-b)`, one value within the field or the bounds, and `H/n` or `H(a-b)/n`, every `n`-th from one of the
//!   first `n` on ([Jenkins]). Which one is drawn from the job's id, so that many jobs "once an hour" do not all come
//!   at minute 0, and it is the same for ever. In the day of month, `H` keeps to 1–28. There is none in years,
//! - of the day of month: `L`, the last day; `15W`, the working day (Monday to Friday) of the month that is nearest to
//!   the 15th; `LW`, the last working day ([Quartz]),
//! - of the day of week: `5L` or `FRIL`, the last Friday of the month; `1#2` or `MON#2`, the second Monday ([Quartz]).
//!
//! A day must match both day fields if one of them begins with `*` or `?`, and either of them if not: `0 0 13 * FRI` is
//! every 13th and every Friday, `0 0 */2 * FRI` every Friday with an odd date ([Vixie], and [POSIX] where it speaks).
//!
//! `@hourly`, `@daily` or `@midnight`, `@weekly` (Sunday), `@monthly` and `@yearly` or `@annually` are the first moment
//! of what they name ([Vixie]).
//!
//! `@every 5m` ([robfig]) comes at fixed distances of real time, whatever a clock shows. It is no expression: [`every`]
//! tells it from one, and whoever takes jobs counts the distance.
//!
//! What names no date at all, such as the 30th of February, is refused. An expression whose years have all passed is
//! one that never comes again: [`next`] says so, and whoever takes jobs refuses it.
//!
//! # When the clock changes
//!
//! The hour field decides, in the spirit of [Vixie]'s cron:
//!
//! - It names hours (`2`, `1,3`, `0-4`, `H`): each time comes exactly once. A time that the clock jumps past comes at
//!   the very instant of the jump, all those that it jumps past at once, and one that the clock shows twice comes the
//!   first time. A nightly job is neither left out nor doubled.
//! - It has a `*` or a `/`: a time comes whenever the clock shows it, so that `*/15 * * * *` comes every 15 minutes of
//!   real time, through the hour that comes twice and past the one that is left out.
//!
//! [POSIX]: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/crontab.html
//! [Vixie]: https://man7.org/linux/man-pages/man5/crontab.5.html
//! [Quartz]: https://www.quartz-scheduler.org/documentation/quartz-2.3.0/tutorials/crontrigger.html
//! [robfig]: https://pkg.go.dev/github.com/robfig/cron/v3
//! [Jenkins]: https://www.jenkins.io/doc/book/pipeline/syntax/#cron-syntax

mod count;
mod days;
mod expression;
mod field;
mod instants;
#[cfg(test)]
mod tests;
mod zones;

pub use count::count;
pub use expression::{Expression, every};
pub use instants::{ClockChange, clock_change, holds, latest, next};
pub use zones::{zone, zone_data};
