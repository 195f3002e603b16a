//! Segments in a real S3 server on this machine: `moto_server`, where it is installed (`pip install 'moto[server]'`). Without it these tests
//! say so and pass.
#![cfg(feature = "object-store")]
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dosql_base::{Entropy, Env, ErrorKind, ManualClock};
use dosql_lsm::conformance::{Subject, check};
use dosql_lsm::object::{Credentials, ObjectOptions, Retries, segments_at};
use dosql_lsm::{SegmentStore, put_idempotent};

struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0x55);
    }
}

struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// A server with a bucket, or none where it is not installed.
    fn start() -> Option<Server> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("moto_server");
        command
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let Ok(process) = command.spawn() else {
            eprintln!("skipped: moto_server is not installed");
            return None;
        };
        let mut server = Server { process, port };
        for _ in 0..300 {
            if server.request("PUT /bucket HTTP/1.1").is_some_and(|answer| answer.contains(" 200 ")) {
                return Some(server);
            }
            if server.process.try_wait().unwrap().is_some() {
                eprintln!("skipped: moto_server does not run");
                return None;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        eprintln!("skipped: moto_server does not answer");
        None
    }

    fn request(&self, line: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let host = "Host: s3.amazonaws.com\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(format!("{line}\r\n{host}").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn open(&self, prefix: &str, options: ObjectOptions) -> Arc<dyn SegmentStore> {
        let port = self.port;
        let address = format!("s3://bucket/{prefix}?endpoint=http://127.0.0.1:{port}&region=us-east-1");
        segments_at(&address, options).unwrap()
    }
}

fn options() -> ObjectOptions {
    let credentials = Credentials::Key { id: "key".into(), secret: "secret".into(), token: None };
    let retries = Retries { attempts: 3, first: Duration::from_millis(5), ..Retries::default() };
    let env = Env::new(Arc::new(ManualClock::default()), Arc::new(Fixed));
    ObjectOptions { credentials, retries, ..ObjectOptions::new(env) }
}

#[test]
fn an_s3_server_conforms_and_takes_large_objects_in_parts() {
    let Some(server) = Server::start() else { return };
    let count = AtomicU64::new(0);
    check(&|| {
        let prefix = format!("run/{}", count.fetch_add(1, Ordering::Relaxed));
        let fetch = Box::new(|_: &[_]| panic!("it waits by itself"));
        Subject { store: server.open(&prefix, options()), fetch }
    });
    check(&|| {
        let prefix = format!("parts/{}", count.fetch_add(1, Ordering::Relaxed));
        let fetch = Box::new(|_: &[_]| panic!("it waits by itself"));
        let options = ObjectOptions { multipart_bytes: 1_000, part_bytes: 5 << 20, ..options() };
        Subject { store: server.open(&prefix, options), fetch }
    });
    let store =
        server.open("large", ObjectOptions { multipart_bytes: 6 << 20, part_bytes: 5 << 20, ..options() });
    let bytes: Vec<u8> = (0..12_000_000u32).map(|i| (i >> 5) as u8).collect();
    store.put("large", &bytes).unwrap();
    assert_eq!(store.put("large", &bytes).unwrap_err().kind(), ErrorKind::Conflict);
    put_idempotent(&*store, "large", &bytes).unwrap();
    assert!(store.read("large", 0..12_000_000).unwrap() == bytes);
    assert_eq!(
        store.get_ranges("large", &[5_242_870..5_242_890, 0..3]).unwrap()[0],
        bytes[5_242_870..5_242_890]
    );
    let names: Vec<String> = (0..40).map(|i| format!("n-{i:02}")).collect();
    names.iter().for_each(|name| store.put(name, b"x").unwrap());
    assert_eq!(store.list("n-1").unwrap().len(), 10);
    store.delete(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    assert_eq!(store.list("").unwrap(), ["large"]);
    let address = format!("s3://no-such-bucket?endpoint=http://127.0.0.1:{}&region=us-east-1", server.port);
    let store = segments_at(&address, options()).unwrap();
    for result in [store.put("a", b"x"), store.list("").map(|_| ())] {
        let error = result.unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.to_string().contains("no such bucket"), "{error}");
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error_soon() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("s3://bucket/x?endpoint=http://127.0.0.1:{port}&region=us-east-1");
    let store = segments_at(&address, options()).unwrap();
    let error = store.read("a", 0..1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("3 times in a row"), "{error}");
}
