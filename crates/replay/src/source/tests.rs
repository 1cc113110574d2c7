use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use sipward_engine::Timestamp;

use super::*;

const RECORDING: &[u8] =
    include_bytes!("../../../../tests/fixtures/freeswitch/scenarios/ns-udp4-wrongpw.plain.raw");
const LOG: &[u8] = include_bytes!("../../../../tests/fixtures/logs/layouts.log");

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A file of these bytes with this name.
fn open(bytes: &[u8]) -> Result<Source, SourceError> {
    let mut file = tempfile::NamedTempFile::with_suffix(".txt").unwrap();
    file.write_all(bytes).unwrap();
    Source::open(file.path(), TimeZone::UTC, Arc::default())
}

fn tally(mut source: Source) -> Tally {
    while source.next().is_some() {}
    source.tally()
}

#[test]
fn a_file_is_known_by_its_content() {
    for (bytes, kind, items) in
        [(RECORDING, Kind::Recording, 3), (LOG, Kind::Log, 13), (b"", Kind::Log, 0)]
    {
        for bytes in [bytes.to_vec(), gzip(bytes), [gzip(bytes), gzip(b"")].concat()] {
            let tally = tally(open(&bytes).unwrap());
            assert_eq!((tally.kind, tally.events + tally.log_lines), (kind, items));
            assert_eq!(tally.ended_early, None);
        }
    }
}

#[test]
fn a_recording_without_its_beginning_and_a_log_behind_traces_are_known() {
    let beheaded = RECORDING.get(400..).unwrap();
    assert_eq!(tally(open(beheaded).unwrap()).kind, Kind::Recording);
    let traces = [b"Dialplan: x\n".repeat(10_000), LOG.to_vec()].concat();
    assert_eq!(tally(open(&traces).unwrap()).log_lines, 13);
}

#[test]
fn a_gzip_that_breaks_off_is_played_as_far_as_it_goes() {
    // Random digits do not compress, so that what is lost is not all.
    let mut random = fastrand::Rng::with_seed(1);
    let noise = |random: &mut fastrand::Rng| {
        let noise: String = (0..200).map(|_| random.digit(10)).collect();
        format!("Dialplan: {noise}\n")
    };
    let mut log = Vec::new();
    for _ in 0..200 {
        log.extend_from_slice(LOG);
        (0..20).for_each(|_| log.extend_from_slice(noise(&mut random).as_bytes()));
    }
    let whole = gzip(&log);
    let broken = whole.get(..whole.len() / 2).unwrap();
    let tally = tally(open(broken).unwrap());
    assert!((100..13 * 200).contains(&tally.log_lines), "{}", tally.log_lines);
    assert!(tally.ended_early.is_some());
}

#[test]
fn a_gzip_bomb_is_read_as_a_stream() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(LOG).unwrap();
    let row = [vec![b'x'; 1024 * 1024 - 1], vec![b'\n']].concat();
    for _ in 0..64 {
        encoder.write_all(&row).unwrap();
    }
    let packed = encoder.finish().unwrap();
    assert!(packed.len() < 1024 * 1024, "{}", packed.len());
    let tally = tally(open(&packed).unwrap());
    assert_eq!((tally.log_lines, tally.rows), (13, 13 + 64));
}

#[test]
fn what_is_neither_is_refused_by_name() {
    for bytes in [&b"root:x:0:0::/root:/bin/sh\n"[..], &[0; 100], b"\n\n\n"] {
        let error = open(bytes).err().unwrap();
        assert!(error.to_string().contains("neither a recording"), "{error}");
    }
    let missing = Source::open(Path::new("/nonexistent/x"), TimeZone::UTC, Arc::default());
    assert!(matches!(missing, Err(SourceError::Read { .. })));
    let folder = Source::open(Path::new("/"), TimeZone::UTC, Arc::default());
    assert!(matches!(folder, Err(SourceError::Read { .. })));
}

#[test]
fn the_bytes_read_are_counted_as_they_lie_on_the_disk() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let bytes = gzip(LOG);
    file.write_all(&bytes).unwrap();
    let read = Arc::new(AtomicU64::new(0));
    let source = Source::open(file.path(), TimeZone::UTC, Arc::clone(&read)).unwrap();
    tally(source);
    // Except the two that identify the format.
    assert_eq!(read.load(Ordering::Relaxed), bytes.len() as u64 - 2);
}

#[test]
fn a_year_that_a_line_leaves_out_is_that_of_the_file() {
    let log =
        b"11-22 08:24:28.444 [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia \
                profile 'x' for [1@x] from ip 192.0.2.3\n";
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(log).unwrap();
    // 2021-03-01.
    let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_614_556_800);
    file.as_file().set_modified(written).unwrap();
    let mut source = Source::open(file.path(), TimeZone::UTC, Arc::default()).unwrap();
    let at: Timestamp = source.next().unwrap().at;
    assert_eq!(Time(at).to_string(), "2020-11-22T08:24:28.444Z");
}
