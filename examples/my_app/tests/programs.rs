//! The example's own programs: a worker process, and a producer that waits for its results.
#![allow(clippy::unwrap_used)]

use std::process::{Child, Command, Output, Stdio};

const AMQP: (&str, &str, &str) = ("TASKQ_TEST_AMQP_URL", "TASKQ_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f");
const REDIS: (&str, &str, &str) = ("TASKQ_TEST_REDIS_URL", "TASKQ_REDIS_URL", "redis://127.0.0.1:6379");

/// Ended with the test, whatever came of it.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(path: &str, queue: &str) -> Command {
    let mut command = Command::new(path);
    command.env("MY_APP_QUEUE", queue).env("RUST_LOG", "warn").stdin(Stdio::null());
    for (test, own, default) in [AMQP, REDIS] {
        command.env(own, std::env::var(test).unwrap_or_else(|_| default.to_owned()));
    }
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn delete(queue: &str) {
    let url = std::env::var(AMQP.0).unwrap_or_else(|_| AMQP.2.to_owned());
    let connection = lapin::Connection::connect(&url, lapin::ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    for name in [queue.to_owned(), format!("{queue}.dead")] {
        channel.queue_delete(name.into(), Default::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_answers_the_producer_and_lists_its_tasks() {
    let queue = format!("my_app.test.{}", taskq::TaskId::new());
    let _worker = Worker(program(env!("CARGO_BIN_EXE_worker"), &queue).stdout(Stdio::null()).spawn().unwrap());
    let producer = program(env!("CARGO_BIN_EXE_producer"), &queue).output().unwrap();
    assert!(producer.status.success(), "{}", String::from_utf8_lossy(&producer.stderr));
    assert_eq!(said(&producer), "1 + 2 = 3\neliza says to s1: busy (attempt 2)\nwelcome, user 7\n");
    let tour = program(env!("CARGO_BIN_EXE_tour"), &queue).output().unwrap();
    assert!(tour.status.success(), "{}", String::from_utf8_lossy(&tour.stderr));

    let tasks = said(&program(env!("CARGO_BIN_EXE_worker"), &queue).arg("tasks").output().unwrap());
    for name in ["chat.process", "my_app::add", "my_app::count_words", "my_app.mail"] {
        assert!(tasks.contains(name), "{name} is not in\n{tasks}");
    }
    delete(&queue).await;
}
