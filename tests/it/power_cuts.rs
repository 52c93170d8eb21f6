//! An acknowledged change is there after a power cut, on real file systems whose plug is pulled.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Answer, Builder, Crowd, Dice, Drive, Receiver, eventually, every, with};

const ROUNDS: usize = 20;

/// How many answers there are at most before a cut.
const ANSWERS_MAX: u64 = 60;

#[test]
fn after_20_power_cuts_on_ext4_every_acknowledged_change_is_there() {
    cut_power_again_and_again("ext4");
}

#[test]
fn after_20_power_cuts_on_xfs_every_acknowledged_change_is_there() {
    cut_power_again_and_again("xfs");
}

fn cut_power_again_and_again(kind: &str) {
    let Some((drive, builder)) = Drive::under(Builder::new(), kind) else { return };
    let (mut dice, receiver) = (Dice::thrown(), Receiver::start());
    receiver.script("/tick", [Answer::ok().delayed(25)]);
    let mut ksana = builder.start();
    let tick = json!({"id": "tick", "name": "tick", "max_retries": 100, "retry_backoff": "5ms"});
    ksana.create(&with(every(&receiver.url("/tick"), "100ms"), &tick));
    let mut crowd = Crowd::of(3, &receiver, &mut dice);
    let (mut open, mut done, mut lost) = (0, 0, 0);
    for round in 0..ROUNDS {
        let unsynced = drive.data().join("unsynced");
        let plug = drive.plug();
        crowd.write(&ksana, |bustle| {
            bustle.await_answers(1 + dice.below(ANSWERS_MAX));
            if round % 5 == 4 {
                let inode = || fs::metadata(drive.data().join("jobs.json")).map(|file| file.ino()).ok();
                let before = inode();
                let has_begun = || round % 2 == 0 && drive.data().join("jobs.json.tmp").exists();
                eventually("a snapshot", || (has_begun() || inode() != before).then_some(()));
            }
            thread::sleep(Duration::from_micros(dice.below(3_000)));
            fs::write(&unsynced, "not on the disk").expect("there is room");
            // Real power takes the process with it. This one lives on, and on ext4 an fsync that was under way
            // may tell it that all is well.
            bustle.stop_listening();
            plug.pull();
            assert!(fs::write(&unsynced, "").is_err(), "a drive without power takes nothing");
            ksana.signal(Signal::KILL);
        });
        ksana.await_exit();
        receiver.await_silence();
        drive.power_on();
        if fs::read(&unsynced).is_ok_and(|content| content == b"not on the disk") {
            fs::remove_file(&unsynced).expect("it is ours");
        } else {
            lost += 1;
            // Its name may be there.
            let _ = fs::remove_file(&unsynced);
        }
        ksana.start_again();
        let (asked, were_done) = crowd.check(&ksana);
        (open, done) = (open + asked, done + were_done);
    }
    println!("{open} changes without an answer, {done} of them done; {lost} of {ROUNDS} unsynced files lost");
    assert!(lost > 0, "what was not synced was there after each cut: the cuts were none");
    assert!(open > done, "the cuts came between the changes");
    for run in crowd.runs() {
        eventually(&format!("the run {run}, which was acknowledged"), || {
            receiver.requests().iter().any(|request| request.header("X-Ksana-Run-Id") == Some(run)).then_some(())
        });
    }
    for job in crowd.jobs().into_iter().chain(["tick"]) {
        eventually(&format!("the last run of {job} to end"), || {
            (ksana.act(job, "run-now").status == 200).then_some(())
        });
    }
    crowd.check(&ksana);
    assert_eq!(ksana.stop(), 0);
}
